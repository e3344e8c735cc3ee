// What config.json may say: every absurd or unknown value is an error that names it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "fixture.h"
#include "models/config_reader.h"
#include "models/describe.h"
#include "models/rope_config.h"

namespace tensormill {
namespace {

using testing::HasSubstr;

// The message of describing a fixture's config.json after `change`.
template <class Change>
std::string message(const std::string& family, const std::string& name, Change&& change,
                    ErrorKind kind = ErrorKind::kArtifactInvalid) {
  const TemporaryFolder folder;
  find_variant(family, name).make_folder(folder, change);
  try {
    describe_model(folder.path());
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

template <class Change>
Description describe(const std::string& family, const std::string& name, Change&& change) {
  const TemporaryFolder folder;
  find_variant(family, name).make_folder(folder, change);
  return describe_model(folder.path());
}

RopeSpec first_rope(const Description& description) {
  return distinct_ropes(description.model.spec).at(0);
}

struct BadValue {
  const char *family, *name, *key, *value, *expected;
};

class BadConfig : public testing::TestWithParam<BadValue> {};

TEST_P(BadConfig, NamesFileKeyValueAndExpectation) {
  const BadValue& bad = GetParam();
  const std::string text = message(bad.family, bad.name, [&](Json& config) {
    ASSERT_TRUE(config.contains(bad.key)) << bad.key;
    config[bad.key] = Json::parse(bad.value);
  });
  EXPECT_THAT(text, HasSubstr("config.json: "));
  EXPECT_THAT(text, HasSubstr(bad.key));
  EXPECT_THAT(text, HasSubstr(bad.expected));
}

INSTANTIATE_TEST_SUITE_P(
    Values, BadConfig,
    testing::Values(
        BadValue{"llama", "grouped", "hidden_size", "null", "is missing, expected a whole number"},
        BadValue{"llama", "grouped", "hidden_size", "-36",
                 "is -36, expected a whole number from 1"},
        BadValue{"llama", "grouped", "hidden_size", "0", "from 1"},
        BadValue{"llama", "grouped", "hidden_size", "1e300", "from 1 to 131072"},
        BadValue{"llama", "grouped", "hidden_size", "36.5", "a whole number"},
        BadValue{"llama", "grouped", "hidden_size", "\"36\"", "is \"36\", expected a whole number"},
        BadValue{"llama", "grouped", "hidden_size", "[36]", "a whole number"},
        BadValue{"llama", "grouped", "vocab_size", "9223372036854775807", "from 1 to 8388608"},
        BadValue{"llama", "grouped", "num_hidden_layers", "0", "from 1 to 1024"},
        BadValue{"llama", "grouped", "num_hidden_layers", "100000000", "from 1 to 1024"},
        BadValue{"llama", "grouped", "num_attention_heads", "0", "from 1"},
        BadValue{"llama", "grouped", "num_key_value_heads", "0", "from 1 to 6"},
        BadValue{"llama", "grouped", "num_key_value_heads", "7", "from 1 to 6"},
        BadValue{"llama", "grouped", "num_key_value_heads", "4",
                 "a divisor of num_attention_heads"},
        BadValue{"llama", "grouped", "rms_norm_eps", "-1", "a number from 0 to 1"},
        BadValue{"llama", "grouped", "rms_norm_eps", "\"small\"", "a number from 0 to 1"},
        BadValue{"llama", "grouped", "rope_theta", "0", "a number from 1"},
        BadValue{"llama", "grouped", "attention_bias", "1", "true or false"},
        BadValue{"llama", "grouped", "hidden_act", "7", "a text"},
        BadValue{"llama", "grouped", "eos_token_id", "\"</s>\"", "a token id or a list of them"},
        BadValue{"llama", "linear", "rope_scaling", "2", "an object"},
        BadValue{"llama", "linear", "rope_scaling", R"({"type": "linear"})", "factor is missing"},
        BadValue{"llama", "linear", "rope_scaling", R"({"type": "linear", "factor": 0})",
                 "factor is 0"},
        BadValue{"llama", "linear", "rope_scaling", R"({"factor": 2})", "rope_type is missing"},
        BadValue{"llama", "linear", "rope_scaling",
                 R"({"type": "linear", "factor": 2, "surprise": 1})", "rope_scaling.surprise"},
        BadValue{"llama", "yarn", "rope_scaling", R"({"rope_type": "yarn"})", "factor is missing"},
        BadValue{"llama", "yarn", "rope_scaling",
                 R"({"rope_type": "yarn", "factor": 4, "beta_fast": 0.5})", "beta_slow or more"},
        BadValue{"llama", "yarn", "rope_scaling",
                 R"({"rope_type": "yarn", "factor": 4, "rope_theta": 1})", "more than 1"},
        BadValue{"llama", "longrope", "rope_scaling",
                 R"({"rope_type": "longrope", "short_factor": [1, 1], "long_factor": [1, 1, 1]})",
                 "short_factor is [1,1], expected a list of 3 numbers"},
        BadValue{"llama", "longrope", "rope_scaling",
                 R"({"type": "su", "short_factor": [1, 1, 1], "long_factor": [1, 0, 1]})",
                 "long_factor is [1,0,1]"},
        BadValue{"llama", "longrope_factor", "rope_scaling",
                 R"({"type": "su", "short_factor": [1, 1, 1], "long_factor": [1, 1, 1]})",
                 "factor is absent, expected a number, or original_max_position_embeddings"},
        BadValue{"llama", "longrope", "original_max_position_embeddings", "1",
                 "expected 2 or more"},
        BadValue{"llama", "biased", "head_dim", "5", "expected an even number"},
        BadValue{"gpt2", "plain", "n_head", "7", "a divisor of n_embd, which is 40"},
        BadValue{"gpt2", "plain", "n_positions", "-1", "from 1"},
        BadValue{"gpt_neox", "parallel", "rotary_pct", "1.5", "a number from 0 to 1"},
        BadValue{"gpt_neox", "parallel", "use_parallel_residual", "\"yes\"", "true or false"}));

TEST(Config, UnknownModelTypeListsWhatIsSupported) {
  const std::string text = message(
      "llama", "grouped", [](Json& config) { config["model_type"] = "mamba"; },
      ErrorKind::kUnsupported);
  EXPECT_THAT(text, HasSubstr("model_type \"mamba\" is not supported; supported are "));
  for (const std::string& type : supported_model_types()) EXPECT_THAT(text, HasSubstr(type));
}

TEST(Config, MissingModelTypeIsNamed) {
  EXPECT_THAT(message("llama", "grouped", [](Json& config) { config.erase("model_type"); }),
              HasSubstr("model_type is missing"));
}

TEST(Config, EveryUnreadKeyIsNamed) {
  const std::string text = message("gpt2", "plain", [](Json& config) {
    config["alibi"] = true;
    config["moe"] = {{"experts", 8}};
  });
  EXPECT_THAT(text, HasSubstr("unknown keys: alibi, moe"));
}

TEST(Config, UnknownKeysThatAreNullAreAbsent) {
  describe("llama", "grouped", [](Json& config) { config["sliding_window"] = nullptr; });
  EXPECT_THAT(message("llama", "grouped", [](Json& config) { config["sliding_window"] = 4096; }),
              HasSubstr("unknown key: sliding_window"));
}

TEST(Config, UnknownRopeTypeListsWhatIsSupported) {
  const std::string text = message(
      "llama", "linear",
      [](Json& config) {
        config["rope_scaling"] = {{"rope_type", "mrope"}, {"factor", 4.0}};
      },
      ErrorKind::kUnsupported);
  EXPECT_THAT(text, HasSubstr("rope_scaling.rope_type is \"mrope\", supported: default, linear, "
                              "dynamic, yarn, longrope (su), llama3"));
}

TEST(Config, UnknownActivationListsWhatIsSupported) {
  const std::string text = message(
      "llama", "grouped", [](Json& config) { config["hidden_act"] = "xielu"; },
      ErrorKind::kUnsupported);
  EXPECT_THAT(text, HasSubstr("hidden_act is \"xielu\", supported: gelu, "));
}

TEST(Config, QuantizedCheckpointsAreRefusedByName) {
  const std::string text = message(
      "llama", "grouped",
      [](Json& config) {
        config["quantization_config"] = {{"quant_method", "gptq"}};
      },
      ErrorKind::kUnsupported);
  EXPECT_THAT(text, HasSubstr("quantization_config"));
}

TEST(Config, BothSpellingsOfRopeMeanTheSame) {
  const RopeSpec older = first_rope(describe("llama", "llama3", [](Json&) {}));
  const RopeSpec newer = first_rope(describe("llama", "llama3", [](Json& config) {
    config["rope_parameters"] = config["rope_scaling"];
    config["rope_parameters"]["rope_theta"] = config["rope_theta"];
    config.erase("rope_scaling");
    config.erase("rope_theta");
  }));
  EXPECT_EQ(older.scaling, RopeScaling::kLlama3);
  EXPECT_EQ(older, newer);
}

RopeSpec rope_with(const char* name, const char* scaling, int original = 0) {
  return first_rope(describe("llama", name, [&](Json& config) {
    config["rope_scaling"] = Json::parse(scaling);
    config.erase("original_max_position_embeddings");
    if (original > 0) config["original_max_position_embeddings"] = original;
  }));
}

TEST(Config, YarnsAmplitudeFollowsFromItsKeys) {
  const auto amplitude = [](const char* scaling) { return rope_with("yarn", scaling).amplitude; };
  EXPECT_FLOAT_EQ(amplitude(R"({"rope_type": "yarn", "factor": 4})"), 1.138629436F);
  EXPECT_FLOAT_EQ(amplitude(R"({"rope_type": "yarn", "factor": 1})"), 1);
  EXPECT_FLOAT_EQ(amplitude(R"({"rope_type": "yarn", "factor": 4, "attention_factor": 1.5})"), 1.5);
  EXPECT_FLOAT_EQ(
      amplitude(R"({"type": "yarn", "factor": 4, "mscale": 1.5, "mscale_all_dim": 0.5})"),
      1.129643251F);
  EXPECT_FLOAT_EQ(amplitude(R"({"type": "yarn", "factor": 4, "mscale": 1.5})"), 1.138629436F);
  const RopeSpec usual = rope_with("yarn", R"({"rope_type": "yarn", "factor": 4})");
  EXPECT_EQ(usual.original_length, 512);  // max_position_embeddings
  EXPECT_EQ(usual.high_frequency, 32);
  EXPECT_EQ(usual.low_frequency, 1);
  EXPECT_TRUE(usual.whole);
}

TEST(Config, LongRopesOriginalLengthStandsBesideOrInside) {
  const RopeSpec beside = rope_with(
      "longrope",
      R"({"type": "su", "short_factor": [1, 1, 2], "long_factor": [1, 2, 4], "factor": 7})", 32);
  EXPECT_EQ(beside.original_length, 32);
  EXPECT_FLOAT_EQ(beside.amplitude, std::sqrt(1 + 4.0F / 5));  // of 512 / 32, whatever the factor
  const RopeSpec inside = rope_with("longrope", R"({"rope_type": "longrope",
      "short_factor": [1, 1, 2], "long_factor": [1, 2, 4], "original_max_position_embeddings": 32})");
  EXPECT_EQ(beside, inside);
  const RopeSpec factor = rope_with("longrope", R"({"rope_type": "longrope", "factor": 1.0,
      "short_factor": [1, 1, 2], "long_factor": [1, 2, 4], "original_max_position_embeddings": 32})");
  EXPECT_FLOAT_EQ(factor.amplitude, 1);
}

TEST(Config, RopeParametersMayDifferByLayerType) {
  const Json object = Json::parse(R"({"rope_theta": 500, "rope_parameters": {
      "full_attention": {"rope_type": "linear", "factor": 8, "rope_theta": 1000},
      "sliding_attention": {"rope_type": "default", "rope_theta": 100}}})");
  ConfigReader config(object, "config.json");
  const RopeSpec full = read_rope(config, "rope_theta", 8, 1, 64, "full_attention");
  EXPECT_EQ(full.theta, 1000);
  EXPECT_EQ(full.factor, 8);
  EXPECT_THROW(config.finish(), Error);  // nobody has read the other
  EXPECT_EQ(read_rope(config, "rope_theta", 8, 1, 64, "sliding_attention").theta, 100);
  config.finish();
}

TEST(Config, RopeParametersMayNameTheShareThatTurns) {
  const RopeSpec rope = first_rope(describe("gpt_neox", "parallel", [](Json& config) {
    config["rope_parameters"] = {
        {"rope_type", "default"}, {"rope_theta", 123.0}, {"partial_rotary_factor", 0.25}};
  }));
  EXPECT_EQ(rope.dim, 2);
  EXPECT_EQ(rope.theta, 123);
}

TEST(Config, EndOfTextComesFromTheGenerationConfigFirst) {
  const TemporaryFolder folder;
  find_variant("llama", "grouped").make_folder(folder, [](Json&) {});
  EXPECT_THAT(describe_model(folder.path()).info.eos_ids, testing::ElementsAre(2, 5));
  folder.write("generation_config.json", R"({"eos_token_id": 7, "temperature": 0.6})");
  EXPECT_THAT(describe_model(folder.path()).info.eos_ids, testing::ElementsAre(7));
  folder.write("generation_config.json", R"({"temperature": 0.6})");
  EXPECT_THAT(describe_model(folder.path()).info.eos_ids, testing::ElementsAre(2, 5));
}

TEST(Config, RulesFollowFromTheSpec) {
  Description description = describe("llama", "dynamic", [](Json&) {});
  EXPECT_TRUE(description.info.rules.chunks && description.info.rules.shares_prefix &&
              description.info.rules.rewinds);
  EXPECT_EQ(description.info.dynamic_rope_from, 24);
  TransformerSpec& spec = description.model.spec;
  std::get<AttentionSpec>(spec.stacks[0].kinds[0][0].body).mask.causal = false;
  const SequenceRules encoder = rules(spec);
  EXPECT_FALSE(encoder.chunks || encoder.shares_prefix || encoder.rewinds);
}

TEST(Config, LearnedPositionsAreAHardLimit) {
  EXPECT_TRUE(describe("gpt2", "plain", [](Json&) {}).info.hard_position_limit);
  EXPECT_FALSE(describe("llama", "grouped", [](Json&) {}).info.hard_position_limit);
}

}  // namespace
}  // namespace tensormill
