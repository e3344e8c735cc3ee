#include "engine/block_pool.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>
#include <vector>

namespace tensormill {
namespace {

std::vector<int32_t> tokens(int32_t first) {
  std::vector<int32_t> result(kBlockTokens);
  std::iota(result.begin(), result.end(), first);
  return result;
}

TEST(BlockPool, GivesEachBlockOnce) {
  BlockPool pool(5);
  std::set<int32_t> taken;
  for (int i = 0; i < 5; ++i) taken.insert(pool.take());
  EXPECT_EQ(taken, (std::set<int32_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(pool.take(), -1);
  pool.release(3);
  EXPECT_EQ(pool.free(), 1);
  EXPECT_EQ(pool.take(), 3);
}

TEST(BlockPool, FindsWhatAllOfTheKeyMatches) {
  BlockPool pool(8);
  const auto a = tokens(0), b = tokens(100);
  const int32_t first = pool.take(), second = pool.take();
  const auto content = pool.publish(first, {BlockPool::kRoot, a, 0});
  pool.publish(second, {content, b, 0});
  EXPECT_EQ(pool.find({BlockPool::kRoot, a, 0}).block, first);
  EXPECT_EQ(pool.find({content, b, 0}).block, second);
  EXPECT_EQ(pool.find({BlockPool::kRoot, b, 0}).block, -1);  // the same tokens elsewhere
  EXPECT_EQ(pool.find({BlockPool::kRoot, a, 77}).block, -1);
  auto other = a;
  other.back() = -1;
  EXPECT_EQ(pool.find({BlockPool::kRoot, other, 0}).block, -1);
}

TEST(BlockPool, HoldersAreCounted) {
  BlockPool pool(2);
  const auto a = tokens(0);
  const int32_t block = pool.take();
  pool.publish(block, {BlockPool::kRoot, a, 0});
  EXPECT_EQ(pool.find({BlockPool::kRoot, a, 0}).block, block);
  pool.release(block);
  EXPECT_EQ(pool.free(), 1);  // one holder is left
  pool.release(block);
  EXPECT_EQ(pool.free(), 2);
  EXPECT_EQ(pool.find({BlockPool::kRoot, a, 0}).block, block);  // still there
  EXPECT_EQ(pool.free(), 1);
}

TEST(BlockPool, TakesTheLongestUnusedAndPrefersWhatHoldsNothing) {
  BlockPool pool(3);
  const auto a = tokens(0), b = tokens(50);
  const int32_t x = pool.take(), y = pool.take(), z = pool.take();
  pool.publish(x, {BlockPool::kRoot, a, 0});
  pool.publish(y, {BlockPool::kRoot, b, 0});
  pool.release(y);
  pool.release(x);
  pool.release(z);
  EXPECT_EQ(pool.take(), z);  // unpublished
  EXPECT_EQ(pool.take(), y);  // longer unused than x
  EXPECT_EQ(pool.find({BlockPool::kRoot, b, 0}).block, -1);
  EXPECT_EQ(pool.find({BlockPool::kRoot, a, 0}).block, x);
}

TEST(BlockPool, SecondCopyLeadsToTheSameContent) {
  BlockPool pool(4);
  const auto a = tokens(0), b = tokens(50);
  const int32_t one = pool.take(), two = pool.take(), next = pool.take();
  const auto content = pool.publish(one, {BlockPool::kRoot, a, 0});
  EXPECT_EQ(pool.publish(two, {BlockPool::kRoot, a, 0}), content);
  pool.publish(next, {content, b, 0});
  pool.release(two);
  EXPECT_EQ(pool.find({BlockPool::kRoot, a, 0}).block, one);
  EXPECT_EQ(pool.find({content, b, 0}).block, next);
}

// Whatever is evicted, what is found is what was published.
TEST(BlockPool, ChurnKeepsContentsApart) {
  BlockPool pool(16);
  std::vector<int32_t> owner(16, -1);  // the first token that a block was last published with
  uint64_t random = 1;
  for (int i = 0; i < 20000; ++i) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    const auto id = static_cast<int32_t>(random >> 33) % 40;
    const auto content = tokens(id);
    const BlockPool::Key key{BlockPool::kRoot, content, id % 3};
    if (const auto found = pool.find(key); found.block >= 0) {
      ASSERT_EQ(owner[static_cast<size_t>(found.block)], id);
      pool.release(found.block);
      continue;
    }
    const int32_t block = pool.take();
    ASSERT_GE(block, 0);
    owner[static_cast<size_t>(block)] = id;
    pool.publish(block, key);
    pool.release(block);
    ASSERT_EQ(pool.free(), 16);
  }
}

}  // namespace
}  // namespace tensormill
