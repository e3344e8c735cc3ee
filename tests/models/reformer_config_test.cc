// config.json of this family that contradicts itself or asks for what isn't there.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "fixture.h"
#include "models/describe.h"

namespace tensormill {
namespace {

using testing::HasSubstr;

Json usual_config() {
  for (const Json& item : read_json_file(std::filesystem::path(TENSORMILL_GOLDEN) / "models" /
                                         "reformer" / "published.json")) {
    if (item.at("name") == "reformer-crime-and-punishment") return item.at("config");
  }
  return {};
}

Description describe(const Json& changes) {
  Json config = usual_config();
  config.update(changes);
  const TemporaryFolder folder;
  folder.write("config.json", config.dump());
  return describe_model(folder.path());
}

std::string failure(const Json& changes) {
  try {
    describe(changes);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(ReformerConfig, RulesSayThatNothingIsCached) {
  const Description description = describe(Json::object());
  EXPECT_TRUE(description.info.rules.recomputes);
  EXPECT_FALSE(description.info.rules.chunks || description.info.rules.shares_prefix);
  EXPECT_TRUE(cache_layers(description.model.spec).empty());
  EXPECT_EQ(description.info.head_width, 512);
  EXPECT_EQ(description.info.max_positions, 524288);
}

// Padding to a multiple of both chunks must find positions too.
TEST(ReformerConfig, PositionsEndWithTheLastWholeMultiple) {
  const Json chunks = {{"local_attn_chunk_length", 96}, {"max_position_embeddings", 1000}};
  EXPECT_EQ(describe(chunks).info.max_positions, 960);
  const Json few = {{"local_attn_chunk_length", 96}, {"max_position_embeddings", 100}};
  EXPECT_EQ(describe(few).info.max_positions, 64);
}

TEST(ReformerConfig, BadValuesAreNamed) {
  EXPECT_THAT(failure({{"attn_layers", {"local", "full"}}, {"num_hidden_layers", 2}}),
              HasSubstr("attn_layers"));
  EXPECT_THAT(failure({{"attn_layers", Json::array()}}), HasSubstr("attn_layers"));
  EXPECT_THAT(failure({{"num_hidden_layers", 5}}), HasSubstr("num_hidden_layers is 5, expected 6"));
  EXPECT_THAT(failure({{"axial_pos_shape", {8, 8, 8}}}), HasSubstr("axial_pos_shape"));
  EXPECT_THAT(failure({{"axial_pos_shape", {0, 8}}}), HasSubstr("axial_pos_shape"));
  EXPECT_THAT(failure({{"axial_pos_embds_dim", {64, 64}}}), HasSubstr("axial_pos_embds_dim"));
  EXPECT_THAT(failure({{"sinusoidal_pos_embds", true}}), HasSubstr("sinusoidal_pos_embds"));
  EXPECT_THAT(failure({{"is_decoder", false}}), HasSubstr("is_decoder"));
  EXPECT_THAT(failure({{"tie_word_embeddings", true}}), HasSubstr("tie_word_embeddings"));
  EXPECT_THAT(failure({{"lsh_num_chunks_after", 1}}), HasSubstr("lsh_num_chunks_after"));
  EXPECT_THAT(failure({{"local_attn_chunk_length", 0}}), HasSubstr("local_attn_chunk_length"));
  EXPECT_THAT(failure({{"lsh_attn_chunk_length", nullptr}}), HasSubstr("lsh_attn_chunk_length"));
  EXPECT_THAT(failure({{"num_hashes", 0}}), HasSubstr("num_hashes"));
  EXPECT_THAT(failure({{"num_buckets", 7}}), HasSubstr("num_buckets"));
  EXPECT_THAT(failure({{"num_buckets", Json::array()}}), HasSubstr("num_buckets"));
  EXPECT_THAT(failure({{"num_buckets", {1 << 20, 1 << 20}}}), HasSubstr("num_buckets"));
  EXPECT_THAT(failure({{"hash_seed", -1}}), HasSubstr("hash_seed"));
}

}  // namespace
}  // namespace tensormill
