#include "nn/hash_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tensormill {
namespace {

using testing::ElementsAre;

AttentionSpec hashed() {
  AttentionSpec attention;
  attention.core = Core::kHashed;
  attention.heads = attention.kv_heads = 2;
  attention.dim = 4;
  attention.chunk = {4, 1, 4, 4};
  attention.hash.rounds = 3;
  attention.hash.positions = 64;
  return attention;
}

TEST(HashTable, PaddingBeginsBeyondTheShortestChunk) {
  const ChunkSpec chunk{8, 1, 6, 24};
  EXPECT_EQ(padded_length(chunk, 6), 6);
  EXPECT_EQ(padded_length(chunk, 7), 24);
  EXPECT_EQ(padded_length(chunk, 24), 24);
  EXPECT_EQ(padded_length(chunk, 25), 48);
}

// Two buckets for each chunk, rounded down to a power of two, as two factors beyond 2 * 4.
TEST(HashTable, BucketsFollowTheFirstLengthThatIsHashed) {
  const HashTable table(hashed(), 1, nullptr);
  EXPECT_THAT(table.rotations(1).factors, ElementsAre(4));
  EXPECT_THAT(table.rotations(8).factors, ElementsAre(4));
  EXPECT_THAT(table.rotations(17).factors, ElementsAre(8));
  EXPECT_THAT(table.rotations(33).factors, ElementsAre(4, 4));
  EXPECT_THAT(table.rotations(64).factors, ElementsAre(4, 8));
  EXPECT_EQ(table.rotations(64).columns, 6);
  EXPECT_EQ(table.rotations(64).values->size(), 2u * 4 * 3 * 6);
  EXPECT_EQ(rotation_values(hashed()), 2 * 4 * 3 * (2 + 4 + 4 + 6));
}

TEST(HashTable, LayersShareRotationsOfOneSeedOnly) {
  AttentionSpec attention = hashed();
  attention.hash.buckets = {6};
  const HashTable own(attention, 1, nullptr), other(attention, 2, &own);
  EXPECT_NE(*own.rotations(9).values, *other.rotations(9).values);
  attention.hash.seed = 5;
  const HashTable seeded(attention, 1, nullptr), shared(attention, 2, &seeded);
  EXPECT_EQ(seeded.rotations(9).values, shared.rotations(9).values);
  EXPECT_EQ(seeded.rotations(9).columns, 3);
}

}  // namespace
}  // namespace tensormill
