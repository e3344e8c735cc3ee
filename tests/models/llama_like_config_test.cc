// What config.json of llama-like decoders may say, and what their windows and orders of rows are.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "fixture.h"
#include "models/describe.h"

namespace tensormill {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Description describe(const std::string& family, const std::string& name, const char* patch) {
  const TemporaryFolder folder;
  find_variant(family, name).make_folder(folder, [&](Json& config) {
    config.merge_patch(Json::parse(patch));
  });
  return describe_model(folder.path());
}

struct BadValue {
  const char *family, *name, *patch, *expected;
  ErrorKind kind;
};

class BadLlamaLike : public testing::TestWithParam<BadValue> {};

TEST_P(BadLlamaLike, IsNamed) {
  try {
    describe(GetParam().family, GetParam().name, GetParam().patch);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), GetParam().kind);
    EXPECT_THAT(error.what(), HasSubstr("config.json: "));
    EXPECT_THAT(error.what(), HasSubstr(GetParam().expected));
  }
}

constexpr ErrorKind kInvalid = ErrorKind::kArtifactInvalid, kUnsupported = ErrorKind::kUnsupported;

INSTANTIATE_TEST_SUITE_P(
    Values, BadLlamaLike,
    testing::Values(
        BadValue{"llama", "grouped", R"({"rope_interleaved": true})", "rope_interleaved is true",
                 kUnsupported},
        BadValue{"mistral", "window", R"({"sliding_window": 0})", "sliding_window is 0, expected",
                 kInvalid},
        BadValue{"mistral", "window", R"({"num_key_value_heads": 4})",
                 "a divisor of num_attention_heads", kInvalid},
        BadValue{"mistral", "apart", R"({"head_dim": 11})", "expected an even number", kInvalid},
        BadValue{"qwen2", "late", R"({"layer_types": ["full_attention"]})",
                 "3 types, one for each layer", kInvalid},
        BadValue{"qwen2", "late", R"({"layer_types": [1, 2, 3]})", "a list of texts", kInvalid},
        BadValue{"qwen2", "types",
                 R"({"layer_types": ["full_attention", "full_attention", "chunked_attention"]})",
                 "supported: full_attention, sliding_attention", kUnsupported},
        BadValue{"qwen2", "types", R"({"use_sliding_window": false})",
                 "a window where a layer slides", kInvalid},
        BadValue{"qwen2", "late", R"({"max_window_layers": -1})", "max_window_layers is -1",
                 kInvalid},
        BadValue{"qwen2", "full", R"({"use_mrope": true})", "use_mrope is true", kUnsupported},
        BadValue{"internlm", "biased", R"({"num_key_value_heads": 1})", "num_key_value_heads is 1",
                 kUnsupported},
        BadValue{"internlm", "biased", R"({"rope_theta": 500})", "rope_theta is 500", kUnsupported},
        BadValue{"internlm", "biased", R"({"rope_scaling": {"type": "linear", "factor": 2}})",
                 "rope_scaling is ", kUnsupported},
        BadValue{"internlm", "dynamic", R"({"rotary": {"type": "yarn"}})",
                 "rotary.type is \"yarn\", supported: origin, dynamic", kUnsupported},
        BadValue{"internlm", "dynamic", R"({"rotary": {"base": null}})", "rotary.base is missing",
                 kInvalid},
        BadValue{"internlm2", "grouped", R"({"num_key_value_heads": 4})",
                 "a divisor of num_attention_heads", kInvalid},
        BadValue{"qwen", "long", R"({"kv_channels": 10})", "hidden_size / num_attention_heads",
                 kInvalid},
        BadValue{"qwen", "long", R"({"seq_length": null})", "seq_length is missing", kInvalid},
        BadValue{"qwen", "long", R"({"scale_attn_weights": false})", "scale_attn_weights is false",
                 kUnsupported},
        BadValue{"qwen", "long", R"({"intermediate_size": 1})", "intermediate_size is 1", kInvalid},
        BadValue{"qwen", "older", R"({"padded_vocab_size": 128})", "padded_vocab_size is 128",
                 kUnsupported},
        BadValue{"qwen", "older", R"({"pos_emb": "alibi"})", "pos_emb is \"alibi\"", kUnsupported},
        BadValue{"qwen", "older", R"({"n_head": 5})", "a divisor of n_embd", kInvalid},
        BadValue{"qwen", "older", R"({"rotary_pct": 0.5})", "an even share of kv_channels",
                 kInvalid},
        BadValue{"qwen", "long", R"({"visual": {"layers": 48}})", "unknown key: visual",
                 kInvalid}));

std::vector<int32_t> windows(const Description& description) {
  std::vector<int32_t> result;
  for_each_attention(description.model.spec,
                     [&](const AttentionSpec& a) { result.push_back(a.mask.window); });
  return result;
}

TEST(LlamaLike, WindowsFollowTheLayers) {
  EXPECT_THAT(windows(describe("qwen2", "late", "{}")), ElementsAre(0, 7, 7));
  EXPECT_THAT(windows(describe("qwen2", "types", "{}")), ElementsAre(7, 0, 7));
  EXPECT_THAT(windows(describe("qwen2", "full", "{}")), ElementsAre(0, 0));
  EXPECT_EQ(describe("qwen2", "late", "{}").model.spec.stacks[0].kinds.size(), 2);
}

// What the reference takes a key for that is absent, and that is null.
TEST(LlamaLike, AnAbsentWindowIsNotNone) {
  const TemporaryFolder folder;
  find_variant("mistral", "window").make_folder(folder, [](Json& config) {
    config.erase("sliding_window");
  });
  EXPECT_THAT(windows(describe_model(folder.path())), ElementsAre(4096, 4096));
  const TemporaryFolder other;
  find_variant("mistral", "window").make_folder(other, [](Json& config) {
    config["sliding_window"] = nullptr;
  });
  EXPECT_THAT(windows(describe_model(other.path())), ElementsAre(0, 0));
}

TEST(LlamaLike, AnAbsentHeadDimMayHaveAUsualValue) {
  const Description description = describe("qwen3", "plain", R"({"head_dim": null})");
  for_each_attention(description.model.spec, [](const AttentionSpec& a) { EXPECT_EQ(a.dim, 128); });
}

}  // namespace
}  // namespace tensormill
