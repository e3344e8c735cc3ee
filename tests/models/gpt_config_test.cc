// What config.json of GPT-like families may say: contradictions and values that this build can't
// run are errors that name the key.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"
#include "fixture.h"
#include "models/describe.h"

namespace tensormill {
namespace {

using testing::HasSubstr;

struct BadValue {
  const char *family, *variant, *key, *value, *expected;
  ErrorKind kind = ErrorKind::kArtifactInvalid;
};

class BadGptConfig : public testing::TestWithParam<BadValue> {};

TEST_P(BadGptConfig, NamesTheKey) {
  const BadValue& bad = GetParam();
  const TemporaryFolder folder;
  find_variant(bad.family, bad.variant).make_folder(folder, [&](Json& config) {
    config[bad.key] = Json::parse(bad.value);
  });
  try {
    describe_model(folder.path());
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), bad.kind) << error.what();
    EXPECT_THAT(error.what(), HasSubstr("config.json: "));
    EXPECT_THAT(error.what(), HasSubstr(bad.key));
    EXPECT_THAT(error.what(), HasSubstr(bad.expected));
  }
}

constexpr ErrorKind kUnsupported = ErrorKind::kUnsupported;

INSTANTIATE_TEST_SUITE_P(
    Values, BadGptConfig,
    testing::Values(
        BadValue{"gptj", "partial", "rotary_dim", "null", "is missing"},
        BadValue{"gptj", "partial", "rotary_dim", "14", "from 2 to 12"},
        BadValue{"gptj", "partial", "rotary_dim", "5", "an even number"},
        BadValue{"gptj", "partial", "rotary", "false", "supported: true", kUnsupported},
        BadValue{"gptj", "partial", "n_head", "5", "a divisor of n_embd"},
        BadValue{"codegen", "first", "n_head", "6", "a multiple of 4"},
        BadValue{"codegen", "second", "n_head", "12", "head_dim is 6, expected n_embd / n_head"},
        BadValue{"codegen", "second", "head_dim", "8", "n_embd / n_head"},
        BadValue{"gpt_neo", "mixed", "attention_types", "[[[\"global\"], 2]]", "3 types in all"},
        BadValue{"gpt_neo", "mixed", "attention_types", "[[[\"global\"], 1e15]]", "a list of"},
        BadValue{"gpt_neo", "mixed", "attention_types", "[[[\"global\"], 4000000000]]",
                 "3 types in all"},
        BadValue{"gpt_neo", "mixed", "attention_types", "[[[], 4000000000]]", "a list of"},
        BadValue{"gpt_neo", "mixed", "attention_types", "[\"global\"]", "a list of"},
        BadValue{"gpt_neo", "mixed", "attention_types", "\"global\"", "a list of"},
        BadValue{"gpt_neo", "mixed", "attention_types", "[[[7], 3]]", "a list of"},
        BadValue{"gpt_neo", "usual", "attention_types", "[[[\"global\", \"round\"], 1]]",
                 "supported: global, local", kUnsupported},
        BadValue{"gpt_neo", "mixed", "attention_layers", "[\"local\", \"local\", \"local\"]",
                 "what attention_types says"},
        BadValue{"gpt_neo", "mixed", "window_size", "0", "from 1"},
        BadValue{"openai-gpt", "plain", "afn", "\"gelu_new\"", "supported: gelu, relu",
                 kUnsupported},
        BadValue{"opt", "before", "word_embed_proj_dim", "0", "from 1"},
        BadValue{"opt", "before", "scale_embeddings", "true", "supported: false", kUnsupported},
        BadValue{"opt", "before", "num_attention_heads", "7", "a divisor of hidden_size"},
        BadValue{"xglm", "scaled", "pad_token_id", "2", "supported: 0 or 1", kUnsupported},
        BadValue{"xglm", "scaled", "pad_token_id", "-1", "supported: 0 or 1", kUnsupported},
        BadValue{"gpt_bigcode", "shared", "num_key_value_heads", "5", "1 where multi_query"},
        BadValue{"gpt_bigcode", "shared", "attention_type", "1", "unknown key"},
        BadValue{"starcoder2", "window", "num_key_value_heads", "4", "a divisor"},
        BadValue{"starcoder2", "window", "sliding_window", "0", "from 1"},
        BadValue{"starcoder2", "window", "mlp_type", "\"gated\"", "supported: default",
                 kUnsupported},
        BadValue{"starcoder2", "window", "norm_type", "\"rms\"", "supported: layer_norm",
                 kUnsupported}));

TransformerSpec spec_of(const char* family, const char* variant,
                        const std::function<void(Json&)>& change) {
  const TemporaryFolder folder;
  find_variant(family, variant).make_folder(folder, change);
  return describe_model(folder.path()).model.spec;
}

RopeSpec first_rope(const TransformerSpec& spec) {
  return distinct_ropes(spec).at(0);
}

TEST(GptConfig, TheBaseOfARopeStandsUnderAnyOfItsNames) {
  const auto theta = [](const std::function<void(Json&)>& change) {
    return first_rope(spec_of("gpt_neox", "parallel",
                              [&](Json& config) {
                                config.erase("rotary_emb_base");
                                config.erase("rope_theta");
                                change(config);
                              }))
        .theta;
  };
  EXPECT_EQ(theta([](Json&) {}), 10000);
  EXPECT_EQ(theta([](Json& config) { config["rotary_emb_base"] = 500; }), 500);
  EXPECT_EQ(theta([](Json& config) { config["rope_theta"] = 600; }), 600);
  EXPECT_EQ(theta([](Json& config) {
              config["rope_theta"] = 600;
              config["rotary_emb_base"] = 500;
            }),
            500);
  EXPECT_EQ(theta([](Json& config) {
              config["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 700}};
            }),
            700);
}

TEST(GptConfig, TypesOfLayersRepeat) {
  const TransformerSpec spec = spec_of("gpt_neo", "mixed", [](Json& config) {
    config["num_layers"] = 5;
    config["attention_types"] = Json::parse(R"([[["global", "local"], 2], [["local"], 1]])");
    config.erase("attention_layers");
  });
  std::vector<int32_t> windows;
  for_each_attention(spec, [&](const AttentionSpec& a) { windows.push_back(a.mask.window); });
  EXPECT_THAT(windows, testing::ElementsAre(0, 13, 0, 13, 13));
}

}  // namespace
}  // namespace tensormill
