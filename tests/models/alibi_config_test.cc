// config.json of bloom, falcon, mpt and baichuan: contradictions, what is refused by name, and how
// a folder tells what it is.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"
#include "fixture.h"
#include "models/alibi.h"
#include "models/describe.h"

namespace tensormill {
namespace {

using testing::HasSubstr;

using Change = std::function<void(Json&)>;

TransformerSpec describe(const char* family, const char* name, const Change& change) {
  const TemporaryFolder folder;
  find_variant(family, name).make_folder(folder, change);
  return describe_model(folder.path()).model.spec;
}

AttentionSpec first_attention(const TransformerSpec& spec) {
  return std::get<AttentionSpec>(spec.stacks.front().kinds.front().front().body);
}

struct Refused {
  const char *family, *name;
  Change change;
  const char* message;
  ErrorKind kind = ErrorKind::kUnsupported;
};

void PrintTo(const Refused& refused, std::ostream* out) {
  *out << refused.family << ": " << refused.message;
}

class AlibiConfig : public testing::TestWithParam<Refused> {};

TEST_P(AlibiConfig, IsRefusedByName) {
  const Refused& refused = GetParam();
  try {
    describe(refused.family, refused.name, refused.change);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), refused.kind);
    EXPECT_THAT(error.what(), HasSubstr(refused.message));
  }
}

Change set(const char* key, Json value) {
  return [key, value](Json& config) { config[key] = value; };
}

Change set_attention(const char* key, Json value) {
  return [key, value](Json& config) { config["attn_config"][key] = value; };
}

constexpr ErrorKind kInvalid = ErrorKind::kArtifactInvalid;

INSTANTIATE_TEST_SUITE_P(
    Values, AlibiConfig,
    testing::Values(
        Refused{"bloom", "odd", set("n_head", 7), "n_head is 7, expected a divisor of hidden_size",
                kInvalid},
        Refused{"bloom", "odd", set("n_embed", 40), "n_embed is 40, expected 30, as hidden_size",
                kInvalid},
        Refused{"bloom", "odd", set("n_inner", 100), "n_inner is 100, supported: four times"},
        Refused{"bloom", "older", [](Json& config) { config.erase("num_attention_heads"); },
                "n_head is missing", kInvalid},
        Refused{"falcon", "groups", set("num_kv_heads", 4), "num_kv_heads is 4, expected a divisor",
                kInvalid},
        Refused{"falcon", "groups", set("n_head", 9), "n_head is 9, expected 6, as num_attention_",
                kInvalid},
        Refused{"falcon", "groups", set("parallel_attn", false), "parallel_attn is false"},
        Refused{"falcon", "groups", set("num_ln_in_parallel_attn", 3), "from 1 to 2", kInvalid},
        Refused{"falcon", "single", set("num_ln_in_parallel_attn", 2),
                "num_ln_in_parallel_attn is 2, supported: 1"},
        Refused{"falcon", "single", set("activation", "xielu"), "activation is \"xielu\""},
        Refused{"mpt", "full", set("n_heads", 5), "n_heads is 5, expected a divisor", kInvalid},
        Refused{"mpt", "full", set("norm_type", "te_norm"), "norm_type is \"te_norm\""},
        Refused{"mpt", "full", set("logit_scale", "inv_d"), "logit_scale is \"inv_d\""},
        Refused{"mpt", "full", set("ffn_config", {{"ffn_type", "mptglu"}}),
                "ffn_config.ffn_type is \"mptglu\", supported: mptmlp"},
        Refused{"mpt", "full", set("final_logit_softcapping", 30.0),
                "unknown key: final_logit_softcapping", kInvalid},
        Refused{"mpt", "full", set_attention("prefix_lm", true),
                "attn_config.prefix_lm is true, supported: false"},
        Refused{"mpt", "full", set_attention("sliding_window_size", 128),
                "attn_config.sliding_window_size is 128, supported: -1"},
        Refused{"mpt", "full", set_attention("attn_type", "other"),
                "attn_config.attn_type is \"other\""},
        Refused{"mpt", "full", set_attention("attn_temperature_tuning", {{"attn_scale", 0.1}}),
                "attn_config.attn_temperature_tuning.attn_scale"},
        Refused{"mpt", "full", set_attention("fused_qkv", false), "attn_config.fused_qkv"},
        Refused{"mpt", "full", set_attention("attn_logit_softcapping", 30.0),
                "unknown key: attn_config.attn_logit_softcapping", kInvalid},
        Refused{"mpt", "full", [](Json& config) { config["attn_config"].erase("alibi"); },
                "attn_config.alibi is missing", kInvalid},
        Refused{"mpt", "learned", set("learned_pos_emb", false),
                "expected true where neither alibi nor rope is", kInvalid},
        Refused{"mpt", "linear", set_attention("kv_n_heads", 4), "attn_config.kv_n_heads is 4",
                kInvalid},
        Refused{"mpt", "linear", set_attention("rope_hf_config", {{"type", "dynamic"}}),
                "attn_config.rope_hf_config.type is \"dynamic\", supported: no_scaling, linear"},
        Refused{"baichuan", "rope", set("tie_word_embeddings", true), "tie_word_embeddings"},
        Refused{"baichuan", "rope", set("num_attention_heads", 10),
                "expected heads of an even number of values", kInvalid},
        Refused{"baichuan", "alibi", set("rope_scaling", {{"type", "dynamic"}}),
                "unknown key: rope_scaling", kInvalid}));

TEST(AlibiConfig, SlopesOfAnyNumberOfHeads) {
  EXPECT_THAT(alibi_slopes(1), testing::ElementsAre(0.00390625F));
  EXPECT_THAT(alibi_slopes(4), testing::ElementsAre(0.25F, 0.0625F, 0.015625F, 0.00390625F));
  EXPECT_THAT(alibi_slopes(6),
              testing::ElementsAre(0.25F, 0.0625F, 0.015625F, 0.00390625F, 0.5F, 0.125F));
  EXPECT_THAT(alibi_slopes(2, 4), testing::ElementsAre(0.25F, 0.0625F));
}

// The name alone says so where the key is absent.
TEST(AlibiConfig, RefinedWebIsOfTheNewArchitecture) {
  const Change none = [](Json&) {};
  EXPECT_EQ(first_attention(describe("RefinedWeb", "groups", none)).kv_heads, 2);
  EXPECT_EQ(first_attention(describe("RefinedWebModel", "single", none)).kv_heads, 1);
}

TEST(AlibiConfig, BothCodesOfRopeMeanTheSame) {
  const auto rope = [](const Change& change) {
    return first_attention(describe("mpt", "rope", change)).rope;
  };
  EXPECT_EQ(rope([](Json&) {}), rope(set_attention("rope_impl", "dail")));
}

TEST(AlibiConfig, EitherNameOfTheNormsEpsilonCounts) {
  const auto eps = [](const char* key) {
    return describe("mpt", "full", set(key, 0.25)).stacks.front().final_norm.eps;
  };
  EXPECT_EQ(eps("norm_eps"), 0.25F);
  EXPECT_EQ(eps("layer_norm_epsilon"), 0.25F);
}

TEST(AlibiConfig, BaichuanTellsItsGeneration) {
  const auto unit_rows = [](int32_t vocabulary) {
    return describe("baichuan", "alibi", set("vocab_size", vocabulary)).head.unit_rows;
  };
  EXPECT_FALSE(unit_rows(64000));
  EXPECT_TRUE(unit_rows(125696));
}

TEST(AlibiConfig, BaichuanOfThirteenBillionHasAlibi) {
  const auto has_slopes = [](const Change& change) {
    return !first_attention(describe("baichuan", "rope", change)).bias.slopes.empty();
  };
  EXPECT_FALSE(has_slopes([](Json&) {}));
  EXPECT_TRUE(has_slopes([](Json& config) {
    config["hidden_size"] = 5120;
    config["num_attention_heads"] = 40;
  }));
  EXPECT_TRUE(has_slopes([](Json& config) { config.erase("max_position_embeddings"); }));
}

}  // namespace
}  // namespace tensormill
