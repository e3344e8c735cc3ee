#include <cmath>
#include <cstring>
#include <numbers>

#include "base/error.h"
#include "base/json.h"
#include "models/families/gguf_families.h"

namespace tensormill {
namespace {

constexpr int64_t kMost = int64_t{1} << 30;
constexpr std::string_view kRopeFactors = "rope_freqs.weight";

struct Heads {
  int64_t count, key_count, dim;
};

Heads heads(const GgufFile& file) {
  const int64_t width = file.size("llama.embedding_length", 1, kMost);
  const int64_t count = file.size("llama.attention.head_count", 1, kMost);
  const int64_t keys = file.size("llama.attention.head_count_kv", 1, count, count);
  const int64_t dim = file.size("llama.rope.dimension_count", 1, kMost,
                                file.size("llama.attention.key_length", 1, kMost, width / count));
  if (dim < 2 || dim % 2 != 0) {
    throw_error(ErrorKind::kArtifactInvalid,
                "{}: heads of {} elements (embedding_length {}, head_count {}), expected an even "
                "number from 2; key \"llama.rope.dimension_count\" may give it",
                file.origin(), dim, width, count);
  }
  return {count, keys, dim};
}

// The factors by which "llama3" scaling divides each rotary frequency.
std::vector<float> llama3_factors(double theta, int64_t dim, double factor, double original) {
  constexpr double kLow = 1, kHigh = 4;  // all published models have these
  std::vector<float> factors;
  for (int64_t i = 0; i < dim / 2; ++i) {
    const double frequency =
        std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(dim));
    const double length = 2 * std::numbers::pi / frequency;
    double divisor = 1;
    if (length > original / kLow) divisor = factor;
    if (length >= original / kHigh && length <= original / kLow) {
      const double smooth = (original / length - kLow) / (kHigh - kLow);
      divisor = 1 / ((1 - smooth) / factor + smooth);
    }
    factors.push_back(static_cast<float>(divisor));
  }
  return factors;
}

// A file of a scaled model has the factors as a tensor; its parameters are those that reproduce it.
OrderedJson llama3_scaling(const GgufFile& file, const GgufTensor& tensor, double theta,
                           int64_t dim) {
  const auto half = static_cast<size_t>(dim / 2);
  if (std::strcmp(tensor.type->name, "F32") != 0 || tensor.data.size() != half * sizeof(float)) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: tensor \"{}\": expected {} values of F32",
                file.origin(), kRopeFactors, half);
  }
  std::vector<float> given(half);
  std::memcpy(given.data(), tensor.data.data(), tensor.data.size());
  const float factor = given.back();
  for (int64_t original = 1024; original <= 131072; original *= 2) {
    const std::vector<float> made =
        llama3_factors(theta, dim, static_cast<double>(factor), static_cast<double>(original));
    bool same = true;
    for (size_t i = 0; i < half; ++i) {
      same &= std::abs(made[i] - given[i]) <= 1e-4F * std::abs(made[i]);
    }
    if (same) {
      return {{"rope_type", "llama3"},
              {"factor", factor},
              {"low_freq_factor", 1.0},
              {"high_freq_factor", 4.0},
              {"original_max_position_embeddings", original}};
    }
  }
  throw_error(ErrorKind::kUnsupported,
              "{}: tensor \"{}\": no \"llama3\" rope scaling makes these factors", file.origin(),
              kRopeFactors);
}

OrderedJson rope_scaling(const GgufFile& file, double theta, int64_t dim) {
  const auto factors = file.tensors().find(kRopeFactors);
  if (factors != file.tensors().end()) {
    return llama3_scaling(file, factors->second, theta, dim);
  }
  const std::string key = "llama.rope.scaling.type";
  const std::string type = file.text(key).value_or("none");
  const std::optional<double> factor = file.number("llama.rope.scaling.factor");
  if (type == "none" || (type == "linear" && factor.value_or(1) == 1)) return nullptr;
  if (type == "linear") return {{"rope_type", "linear"}, {"factor", *factor}};
  throw_error(ErrorKind::kUnsupported, "{}: key \"{}\": \"{}\", expected \"none\" or \"linear\"",
              file.origin(), key, type);
}

OrderedJson config(const GgufFile& file) {
  const std::string epsilon_key = "llama.attention.layer_norm_rms_epsilon";
  const std::optional<double> epsilon = file.number(epsilon_key);
  if (!epsilon) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: key \"{}\" is missing", file.origin(),
                epsilon_key);
  }
  if (file.size("llama.expert_count", 0, kMost, 0) > 0) {
    throw_error(ErrorKind::kUnsupported,
                "{}: key \"llama.expert_count\": experts are not supported", file.origin());
  }
  const Heads h = heads(file);
  const double theta = file.number("llama.rope.freq_base").value_or(10000);
  OrderedJson result = {{"architectures", {"LlamaForCausalLM"}},
                        {"model_type", "llama"},
                        {"hidden_act", "silu"},
                        {"vocab_size", gguf_vocabulary(file)},
                        {"max_position_embeddings", file.size("llama.context_length", 1, kMost)},
                        {"hidden_size", file.size("llama.embedding_length", 1, kMost)},
                        {"intermediate_size", file.size("llama.feed_forward_length", 1, kMost)},
                        {"num_hidden_layers", file.size("llama.block_count", 1, kMost)},
                        {"num_attention_heads", h.count},
                        {"num_key_value_heads", h.key_count},
                        {"head_dim", h.dim},
                        {"rms_norm_eps", *epsilon},
                        {"rope_theta", theta},
                        {"attention_bias", file.tensors().count("blk.0.attn_q.bias") != 0},
                        {"mlp_bias", file.tensors().count("blk.0.ffn_up.bias") != 0},
                        {"tie_word_embeddings", file.tensors().count("output.weight") == 0}};
  if (OrderedJson scaling = rope_scaling(file, theta, h.dim); !scaling.is_null()) {
    result["rope_scaling"] = std::move(scaling);
  }
  return result;
}

GgufSource source(const GgufFile& file, std::string_view tensor) {
  static const std::vector<GgufName> names = {
      {"token_embd", "model.embed_tokens"},
      {"blk.{L}.attn_norm", "model.layers.{L}.input_layernorm"},
      {"blk.{L}.attn_q", "model.layers.{L}.self_attn.q_proj"},
      {"blk.{L}.attn_k", "model.layers.{L}.self_attn.k_proj"},
      {"blk.{L}.attn_v", "model.layers.{L}.self_attn.v_proj"},
      {"blk.{L}.attn_output", "model.layers.{L}.self_attn.o_proj"},
      {"blk.{L}.ffn_norm", "model.layers.{L}.post_attention_layernorm"},
      {"blk.{L}.ffn_gate", "model.layers.{L}.mlp.gate_proj"},
      {"blk.{L}.ffn_up", "model.layers.{L}.mlp.up_proj"},
      {"blk.{L}.ffn_down", "model.layers.{L}.mlp.down_proj"},
      {"output_norm", "model.norm"},
      {"output", "lm_head"},
  };
  GgufSource result = match_gguf_name(names, tensor);
  if (tensor == kRopeFactors) result.skipped = true;
  if (tensor.find(".attn_q.") != std::string_view::npos ||
      tensor.find(".attn_k.") != std::string_view::npos) {
    // The file rotates neighbouring rows, the checkpoint a head's first half against its second.
    result.row = [dim = heads(file).dim](int64_t row) {
      const int64_t head = row / dim, half = row % dim / (dim / 2), lane = row % (dim / 2);
      return head * dim + 2 * lane + half;
    };
  }
  return result;
}

}  // namespace

GgufFamily llama_gguf_family() {
  return {"llama", config, source};
}

}  // namespace tensormill
