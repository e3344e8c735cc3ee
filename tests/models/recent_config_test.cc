// What config.json of the newer decoders means, and what it may not say.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "fixture.h"
#include "models/describe.h"
#include "models/spec.h"
#include "models/weights.h"

namespace tensormill {
namespace {

using testing::HasSubstr;

template <class Change>
TransformerSpec described(const std::string& family, const std::string& name, Change&& change) {
  const TemporaryFolder folder;
  find_variant(family, name).make_folder(folder, change);
  return describe_model(folder.path()).model.spec;
}

const AttentionSpec& attention_of(const TransformerSpec& spec, size_t layer) {
  const StackSpec& stack = spec.stacks.front();
  return std::get<AttentionSpec>(stack.kinds[stack.layers[layer].kind].front().body);
}

Activation activation_of(const TransformerSpec& spec) {
  return std::get<MlpSpec>(spec.stacks.front().kinds.front().back().body).activation;
}

struct Refused {
  const char *family, *name, *key, *value, *expected;
  ErrorKind kind = ErrorKind::kUnsupported;
};

void PrintTo(const Refused& refused, std::ostream* out) {
  *out << refused.family << " " << refused.key << " " << refused.value;
}

class RecentConfig : public testing::TestWithParam<Refused> {};

TEST_P(RecentConfig, IsRefusedByName) {
  const Refused& refused = GetParam();
  try {
    described(refused.family, refused.name,
              [&](Json& config) { config[refused.key] = Json::parse(refused.value); });
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), refused.kind) << error.what();
    EXPECT_THAT(error.what(), HasSubstr("config.json: "));
    EXPECT_THAT(error.what(), HasSubstr(refused.key));
    EXPECT_THAT(error.what(), HasSubstr(refused.expected));
  }
}

constexpr ErrorKind kInvalid = ErrorKind::kArtifactInvalid;

INSTANTIATE_TEST_SUITE_P(
    Families, RecentConfig,
    testing::Values(
        Refused{"gemma", "single", "hidden_activation", "\"mish\"", "gelu_pytorch_tanh"},
        Refused{"gemma", "single", "num_key_value_heads", "2", "divisor", kInvalid},
        Refused{"gemma2", "capped", "attn_logit_softcapping", "0", "a number from", kInvalid},
        Refused{"gemma2", "capped", "query_pre_attn_scalar", "0", "a number from", kInvalid},
        Refused{"gemma2", "capped", "sliding_window", "0", "a whole number", kInvalid},
        Refused{"gemma2", "capped", "layer_types", "[\"full_attention\"]", "3 types", kInvalid},
        Refused{"gemma2", "biased", "layer_types", "[\"full_attention\", \"chunked_attention\"]",
                "sliding_attention"},
        Refused{"gemma3_text", "usual", "use_bidirectional_attention", "true", "false"},
        Refused{"gemma3_text", "usual", "attn_logit_softcapping", "50.0", "null"},
        Refused{"gemma3_text", "usual", "rope_theta", "null", "base", kInvalid},
        Refused{"phi3", "window", "attention_bias", "true", "false"},
        Refused{"phi3", "window", "interpolate_factor", "2", "1"},
        Refused{"phi3", "long", "num_attention_heads", "5", "divisor", kInvalid},
        Refused{"stablelm", "biased", "num_attention_heads", "3", "divisor", kInvalid},
        Refused{"cohere", "tied", "logit_scale", "0", "a number from", kInvalid},
        Refused{"cohere2", "tied", "use_parallel_block", "false", "true"},
        Refused{"cohere2", "tied", "order_of_interleaved_layers", "\"global\"", "local_attn_first"},
        Refused{"cohere2", "tied", "head_dim", "8", "hidden_size", kInvalid},
        Refused{"granite", "tied", "logits_scaling", "0", "a number from", kInvalid},
        Refused{"olmo", "clipped", "clip_qkv", "-1", "a number from", kInvalid},
        Refused{"smollm3", "biased", "use_sliding_window", "true", "false"},
        Refused{"smollm3", "biased", "no_rope_layers", "[1]", "each layer", kInvalid}),
    [](const auto& test) {
      return std::string(test.param.family) + "_" + test.param.key + std::to_string(test.index);
    });

TEST(PhiConfig, AnEvenPartOfAHeadTurns) {
  try {
    described("phi", "plain", [](Json& config) { config["partial_rotary_factor"] = 0.4; });
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kInvalid);
    EXPECT_THAT(error.what(), HasSubstr("turn 3 of the 8 values of a head"));
  }
}

TEST(GemmaConfig, GeluOfTheFirstFilesIsTheTanhForm) {
  const auto with = [](const char* act, const char* activation) {
    return activation_of(described("gemma", "single", [&](Json& config) {
      config["hidden_act"] = act;
      config["hidden_activation"] = activation == nullptr ? Json() : Json(activation);
    }));
  };
  EXPECT_EQ(with("gelu", nullptr), Activation::kGeluTanh);
  EXPECT_EQ(with("gelu_pytorch_tanh", nullptr), Activation::kGeluTanh);
  EXPECT_EQ(with("silu", nullptr), Activation::kSilu);
  EXPECT_EQ(with("gelu_pytorch_tanh", "gelu"), Activation::kGelu);
}

TEST(GemmaConfig, ScaleOfEmbeddingsRoundsToTheTypeOfTheWeights) {
  EmbeddingSpec spec;
  spec.scale = std::sqrt(3072.0F);
  EXPECT_EQ(embedding_scale(spec, DType::kBF16), spec.scale);
  spec.scale_rounds = true;
  EXPECT_EQ(embedding_scale(spec, DType::kF32), spec.scale);
  EXPECT_EQ(embedding_scale(spec, DType::kBF16), 55.5F);
  EXPECT_EQ(embedding_scale(spec, DType::kF16), 55.4375F);
}

TEST(Gemma2Config, AbsentCapsAreTheUsualAndNullIsNone) {
  const TransformerSpec absent = described("gemma2", "capped", [](Json& config) {
    config.erase("attn_logit_softcapping");
    config.erase("final_logit_softcapping");
  });
  EXPECT_EQ(attention_of(absent, 0).softcap, 50);
  EXPECT_EQ(absent.head.softcap, 30);
  const TransformerSpec null = described("gemma2", "capped", [](Json& config) {
    config["attn_logit_softcapping"] = config["final_logit_softcapping"] = Json();
  });
  EXPECT_EQ(attention_of(null, 0).softcap, 0);
  EXPECT_EQ(null.head.softcap, 0);
}

TEST(Gemma2Config, EverySecondLayerSeesAllWhereNoTypesAreGiven) {
  const TransformerSpec spec =
      described("gemma2", "capped", [](Json& config) { config.erase("layer_types"); });
  EXPECT_EQ(attention_of(spec, 0).mask.window, 21);
  EXPECT_EQ(attention_of(spec, 1).mask.window, 0);
  EXPECT_EQ(attention_of(spec, 2).mask.window, 21);
}

TEST(Gemma3Config, LayersWithAWindowTurnByTheLocalBase) {
  for (const char* name : {"usual", "scaled"}) {  // the second in the newer spelling
    const TransformerSpec spec = described("gemma3_text", name, [](Json&) {});
    for (size_t layer = 0; layer < 2; ++layer) {
      const AttentionSpec& attention = attention_of(spec, layer);
      const bool local = attention.mask.window > 0;
      const float global_base = std::string(name) == "usual" ? 100000 : 10000;
      const float local_base = std::string(name) == "usual" ? 500 : 300;
      EXPECT_EQ(attention.rope.theta, local ? local_base : global_base) << name << layer;
      if (local) {
        EXPECT_EQ(attention.rope.scaling, RopeScaling::kNone) << name << layer;
      }
    }
  }
}

TEST(Gemma3Config, KeysOfTheTextModelAreReadToo) {
  try {
    described("gemma3", "text", [](Json& config) { config["text_config"]["odd_flag"] = true; });
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("text_config.odd_flag"));
  }
  const TransformerSpec spec = described("gemma3", "text", [](Json& config) {
    config["text_config"].erase("vocab_size");
    config["text_config"]["num_attention_heads"] = 6;
    config["text_config"]["num_key_value_heads"] = 3;
  });
  EXPECT_EQ(spec.stacks.front().embedding.vocabulary, 262208);
  EXPECT_EQ(attention_of(spec, 0).heads, 6);
}

TEST(Phi3Config, TheOlderNameOfLongRopeMeansTheSame) {
  const TransformerSpec newer = described("phi3", "long", [](Json&) {});
  const TransformerSpec older =
      described("phi3", "long", [](Json& config) { config["rope_scaling"]["type"] = "su"; });
  EXPECT_EQ(attention_of(newer, 0).rope.scaling, RopeScaling::kLong);
  EXPECT_EQ(attention_of(newer, 0).rope, attention_of(older, 0).rope);
}

TEST(CohereConfig, TheLargerLengthCounts) {
  const auto positions = [](int length) {
    return described("cohere", "tied", [&](Json& config) { config["model_max_length"] = length; })
        .max_positions;
  };
  EXPECT_EQ(positions(131072), 131072);
  EXPECT_EQ(positions(64), 512);
}

}  // namespace
}  // namespace tensormill
