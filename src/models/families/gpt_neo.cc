#include <fmt/format.h>

#include <string>

#include "base/json.h"
#include "models/families/families.h"
#include "models/llama_like.h"

namespace tensormill {
namespace {

Names names() {
  return {"transformer.",
          {{"wte", Role::kEmbedding},
           {"wpe", Role::kPositions},
           {"h.{L}.ln_1", Role::kNormIn, 0},
           {"h.{L}.attn.attention.q_proj", Role::kQuery, 0},
           {"h.{L}.attn.attention.k_proj", Role::kKey, 0},
           {"h.{L}.attn.attention.v_proj", Role::kValue, 0},
           {"h.{L}.attn.attention.out_proj", Role::kAttentionOut, 0},
           {"h.{L}.ln_2", Role::kNormIn, 1},
           {"h.{L}.mlp.c_fc", Role::kUp, 1},
           {"h.{L}.mlp.c_proj", Role::kDown, 1},
           {"ln_f", Role::kFinalNorm},
           {"lm_head", Role::kHead}},
          {"h.{L}.attn.attention.bias", "h.{L}.attn.attention.masked_bias"}};
}

// attention_types is [[["global", "local"], 6]]: a pattern of layers and how often it repeats.
std::vector<std::string> repeated_types(ConfigReader& config, size_t layers) {
  constexpr std::string_view kKey = "attention_types";
  constexpr std::string_view kExpected = "a list of [list of types, how often it repeats]";
  const Json usual = Json::parse(R"([[["global", "local"], 12]])");
  const Json* value = config.value(kKey);
  if (value == nullptr) value = &usual;
  if (!value->is_array()) config.fail(kKey, kExpected);
  std::vector<std::string> types;
  for (const Json& item : *value) {
    const bool pair = item.is_array() && item.size() == 2 && item[0].is_array() &&
                      !item[0].empty() && item[1].is_number_unsigned();
    if (!pair) config.fail(kKey, kExpected);
    for (auto times = item[1].get<uint64_t>(); times > 0 && types.size() <= layers; --times) {
      for (const Json& type : item[0]) {
        if (!type.is_string()) config.fail(kKey, kExpected);
        types.push_back(type.get<std::string>());
      }
    }
  }
  if (types.size() != layers) config.fail(kKey, fmt::format("{} types in all", layers));
  return types;
}

// Keys that each layer's queries see.
std::vector<int32_t> read_windows(ConfigReader& config) {
  const auto layers = static_cast<size_t>(config.integer("num_layers", 1, kMaxLayers));
  const std::vector<std::string> types = repeated_types(config, layers);
  const int32_t window = config.integer("window_size", 1, kMaxPositions, 256);
  if (config.has("attention_layers") && config.texts("attention_layers") != types) {
    config.fail("attention_layers", "what attention_types says");
  }
  config.without_effect({"attention_layers"});
  std::vector<int32_t> windows;
  for (const std::string& type : types) {
    if (type != "global" && type != "local") config.unsupported("attention_types", "global, local");
    windows.push_back(type == "local" ? window : 0);
  }
  return windows;
}

}  // namespace

FamilyModel describe_gpt_neo(ConfigReader& config) {
  TransformerSpec spec = read_decoder(config, 2048, true);
  StackSpec& stack = spec.stacks.front();
  stack.embedding.position_rows = spec.max_positions;
  AttentionSpec attention;
  attention.heads = attention.kv_heads = config.integer("num_heads", 1, kMaxHeads);
  attention.dim = even_head_dim(config, "hidden_size", stack.width, "num_heads", attention.heads);
  attention.scale = 1;
  attention.out_bias = true;
  MlpSpec mlp;
  mlp.width = config.integer("intermediate_size", 1, kMaxInnerWidth, 4 * stack.width);
  mlp.activation = read_activation(config, "activation_function", "gelu_new");
  mlp.bias = true;
  stack.final_norm = {NormKind::kLayer, config.number("layer_norm_epsilon", 0, 1, 1e-5F), true};
  add_layers(stack, pre_norm_layer(attention, mlp, stack.final_norm), read_windows(config));
  config.without_effect({"embed_dropout", "resid_dropout", "summary_type", "summary_use_proj",
                         "summary_activation", "summary_proj_to_labels", "summary_first_dropout"});
  return {std::move(spec), names()};
}

}  // namespace tensormill
