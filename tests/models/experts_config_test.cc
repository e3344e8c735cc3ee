// config.json of families with experts or a latent: what contradicts itself, and what this build
// can't run, is an error that names the key.

#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"
#include "fixture.h"
#include "models/describe.h"
#include "models/spec.h"

namespace tensormill {
namespace {

using Change = std::function<void(Json&)>;

Description describe(const std::string& family, const std::string& name, const Change& change) {
  const TemporaryFolder folder;
  find_variant(family, name).make_folder(folder, change);
  return describe_model(folder.path());
}

void fails(const std::string& family, const std::string& name, const std::string& key,
           const Json& value, ErrorKind kind = ErrorKind::kArtifactInvalid) {
  try {
    describe(family, name, [&](Json& config) { config[key] = value; });
    ADD_FAILURE() << family << " accepts " << key << " " << value;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_NE(std::string(error.what()).find(key), std::string::npos) << error.what();
  }
}

TEST(ExpertsConfig, CountsMustFit) {
  fails("mixtral", "two", "num_experts_per_tok", 6);
  fails("mixtral", "two", "num_experts_per_tok", 0);
  fails("mixtral", "two", "num_local_experts", 0);
  fails("mixtral", "two", "num_local_experts", 1, ErrorKind::kUnsupported);
  fails("mixtral", "two", "num_local_experts", kMaxExperts + 1);
  fails("qwen2_moe", "plain", "num_experts_per_tok", 8);
  fails("qwen2_moe", "plain", "decoder_sparse_step", 0);
  fails("qwen2_moe", "plain", "shared_expert_intermediate_size", nullptr);
  fails("qwen3_moe", "plain", "moe_intermediate_size", -1);
}

TEST(ExpertsConfig, WhatWouldComputeOtherwiseIsRefused) {
  for (const char* family : {"qwen2_moe", "qwen3_moe"}) {
    fails(family, "plain", "use_sliding_window", true, ErrorKind::kUnsupported);
  }
  fails("deepseek_v2", "lite", "topk_method", "noaux_tc", ErrorKind::kUnsupported);
  fails("deepseek_v2", "lite", "scoring_func", "sigmoid", ErrorKind::kUnsupported);
  fails("deepseek_v2", "lite", "mlp_bias", true, ErrorKind::kUnsupported);
}

TEST(ExpertsConfig, ChoicesOfOtherModelsAreRefused) {
  fails("deepseek_v3", "groups", "topk_method", "greedy", ErrorKind::kUnsupported);
  fails("deepseek_v3", "groups", "scoring_func", "softmax", ErrorKind::kUnsupported);
  fails("deepseek_v3", "groups", "n_routed_experts", nullptr);
}

TEST(ExpertsConfig, GroupsAndLatentsMustFit) {
  fails("deepseek_v2", "groups", "n_group", 4);
  fails("deepseek_v2", "groups", "topk_group", 4);
  fails("deepseek_v2", "groups", "topk_group", 1);  // two experts, three are taken
  fails("deepseek_v2", "groups", "n_group", nullptr);
  fails("deepseek_v2", "groups", "num_key_value_heads", 1);
  fails("deepseek_v2", "groups", "kv_lora_rank", kMaxHeadDim);
  fails("deepseek_v2", "groups", "kv_lora_rank", nullptr);
  fails("deepseek_v2", "groups", "qk_rope_head_dim", 5);
}

TEST(ExpertsConfig, LayersAreDenseWhereTheConfigSaysSo) {
  const Description description = describe("qwen2_moe", "plain", [](Json&) {});
  const StackSpec& stack = description.model.spec.stacks.front();
  const auto branches = [&](size_t layer) { return stack.kinds[stack.layers[layer].kind].size(); };
  EXPECT_EQ(branches(0), 3U);  // attention, experts and the shared one
  EXPECT_EQ(branches(1), 2U);
  EXPECT_EQ(branches(2), 3U);
  const Description none =
      describe("qwen2_moe", "plain", [](Json& config) { config["num_experts"] = 0; });
  EXPECT_EQ(none.model.spec.stacks.front().kinds.size(), 1U);
}

TEST(ExpertsConfig, TheCacheHoldsTheLatent) {
  const Description description = describe("deepseek_v2", "lite", [](Json&) {});
  for (const CacheLayer& layer : cache_layers(description.model.spec)) {
    EXPECT_EQ(layer.kv_heads, 1);
    EXPECT_EQ(layer.dim, 26);  // 20 and 6 that turn
    EXPECT_EQ(layer.value_dim, 20);
  }
}

}  // namespace
}  // namespace tensormill
