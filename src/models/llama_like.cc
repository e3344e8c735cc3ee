#include "models/llama_like.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

namespace tensormill {

TransformerSpec read_decoder(ConfigReader& config, int32_t positions, bool tied) {
  TransformerSpec spec;
  spec.max_positions = config.integer("max_position_embeddings", 1, kMaxPositions, positions);
  spec.head.tied = config.flag("tie_word_embeddings", tied);
  StackSpec& stack = spec.stacks.emplace_back();
  stack.width = config.integer("hidden_size", 1, kMaxWidth);
  stack.embedding.vocabulary = config.integer("vocab_size", 1, kMaxVocabulary);
  return spec;
}

int32_t read_layer_count(ConfigReader& config) {
  return config.integer("num_hidden_layers", 1, kMaxLayers);
}

NormSpec read_rms_norm(ConfigReader& config, float eps) {
  return {NormKind::kRms, config.number("rms_norm_eps", 0, 1, eps), false};
}

NormSpec read_layer_norm(ConfigReader& config, bool shift, float eps) {
  return {NormKind::kLayer, config.number("layer_norm_eps", 0, 1, eps), shift};
}

AttentionSpec read_heads(ConfigReader& config, int32_t width, int32_t usual_dim) {
  AttentionSpec attention;
  attention.heads = config.integer("num_attention_heads", 1, kMaxHeads);
  attention.kv_heads = config.integer("num_key_value_heads", 1, attention.heads, attention.heads);
  if (attention.heads % attention.kv_heads != 0) {
    config.fail("num_key_value_heads", "a divisor of num_attention_heads");
  }
  const bool known = usual_dim > 0 || config.has("head_dim");
  attention.dim =
      known ? config.integer("head_dim", 1, kMaxHeadDim, usual_dim)
            : even_head_dim(config, "hidden_size", width, "num_attention_heads", attention.heads);
  config.without_effect({"head_dim"});  // null
  attention.scale = 1 / std::sqrt(static_cast<float>(attention.dim));
  return attention;
}

MlpSpec read_gated_mlp(ConfigReader& config, const char* activation) {
  MlpSpec mlp;
  mlp.width = config.integer("intermediate_size", 1, kMaxInnerWidth);
  mlp.activation = read_activation(config, "hidden_act", activation);
  mlp.gated = true;
  return mlp;
}

int32_t read_window(ConfigReader& config, int32_t usual) {
  if (config.is_null("sliding_window")) return 0;
  return config.integer("sliding_window", 1, kMaxPositions, usual);
}

std::vector<int32_t> read_layer_windows(ConfigReader& config, int32_t window,
                                        std::vector<int32_t> usual) {
  if (!config.has("layer_types")) return usual;
  const std::vector<std::string> types = config.texts("layer_types");
  if (types.size() != usual.size()) {
    config.fail("layer_types", fmt::format("{} types, one for each layer", usual.size()));
  }
  for (size_t i = 0; i < types.size(); ++i) {
    const bool slides = types[i] == "sliding_attention";
    if (!slides && types[i] != "full_attention") {
      config.unsupported("layer_types", "full_attention, sliding_attention");
    }
    if (slides && window == 0) config.fail("layer_types", "a window where a layer slides");
    usual[i] = slides ? window : 0;
  }
  return usual;
}

std::vector<int32_t> interleaved_windows(int32_t layers, int32_t window, int32_t period) {
  std::vector<int32_t> windows(static_cast<size_t>(layers), window);
  for (size_t i = static_cast<size_t>(period); i <= windows.size();
       i += static_cast<size_t>(period)) {
    windows[i - 1] = 0;
  }
  return windows;
}

std::vector<int32_t> read_late_windows(ConfigReader& config, int32_t layers) {
  constexpr int32_t kUsualWindow = 4096, kUsualFirst = 28;
  const bool slides = config.flag("use_sliding_window", false);
  const int32_t window = slides ? read_window(config, kUsualWindow) : 0;
  config.without_effect({"sliding_window", "max_window_layers"});
  std::vector<int32_t> windows(static_cast<size_t>(layers), window);
  if (slides) {
    const int32_t first = config.integer("max_window_layers", 0, kMaxLayers, kUsualFirst);
    std::fill_n(windows.begin(), std::min(first, layers), 0);
  }
  return read_layer_windows(config, window, std::move(windows));
}

std::vector<BranchSpec> pre_norm_layer(const AttentionSpec& attention, const MlpSpec& mlp,
                                       const NormSpec& norm) {
  BranchSpec first, second;
  first.body = attention;
  second.body = mlp;
  first.in = second.in = norm;
  return {first, second};
}

std::vector<BranchSpec> parallel_layer(const AttentionSpec& attention, const MlpSpec& mlp,
                                       const NormSpec& norm) {
  std::vector<BranchSpec> layer = pre_norm_layer(attention, mlp, norm);
  layer[0].with_next = true;
  layer[1].in = {};
  layer[1].shares_in = true;
  return layer;
}

void add_layers(StackSpec& stack, const std::vector<BranchSpec>& layer,
                const std::vector<int32_t>& windows) {
  std::vector<int32_t> known;  // window of each kind
  const size_t kinds = stack.kinds.size();
  for (const int32_t window : windows) {
    const auto kind = std::find(known.begin(), known.end(), window) - known.begin();
    const auto number = static_cast<uint16_t>(stack.layers.size());
    stack.layers.push_back({static_cast<uint16_t>(kinds + static_cast<size_t>(kind)), number});
    if (static_cast<size_t>(kind) < known.size()) continue;
    known.push_back(window);
    stack.kinds.push_back(layer);
    for (BranchSpec& branch : stack.kinds.back()) {
      if (auto* attention = std::get_if<AttentionSpec>(&branch.body)) {
        attention->mask.window = window;
      }
    }
  }
}

Names usual_names() {
  return {"model.",
          {{"embed_tokens", Role::kEmbedding},
           {"layers.{L}.input_layernorm", Role::kNormIn, 0},
           {"layers.{L}.self_attn.q_proj", Role::kQuery, 0},
           {"layers.{L}.self_attn.k_proj", Role::kKey, 0},
           {"layers.{L}.self_attn.v_proj", Role::kValue, 0},
           {"layers.{L}.self_attn.q_norm", Role::kQueryNorm, 0},
           {"layers.{L}.self_attn.k_norm", Role::kKeyNorm, 0},
           {"layers.{L}.self_attn.o_proj", Role::kAttentionOut, 0},
           {"layers.{L}.post_attention_layernorm", Role::kNormIn, 1},
           {"layers.{L}.mlp.gate_proj", Role::kGate, 1},
           {"layers.{L}.mlp.up_proj", Role::kUp, 1},
           {"layers.{L}.mlp.down_proj", Role::kDown, 1},
           {"norm", Role::kFinalNorm},
           {"lm_head", Role::kHead}},
          {"layers.{L}.self_attn.rotary_emb.inv_freq", "rotary_emb.inv_freq"}};
}

Names sandwich_names() {
  Names names = usual_names();
  for (NameRow& row : names.rows) {
    if (row.pattern != "layers.{L}.post_attention_layernorm") continue;
    row.role = Role::kNormOut;
    row.branch = 0;
  }
  names.rows.push_back({"layers.{L}.pre_feedforward_layernorm", Role::kNormIn, 1});
  names.rows.push_back({"layers.{L}.post_feedforward_layernorm", Role::kNormOut, 1});
  return names;
}

}  // namespace tensormill
