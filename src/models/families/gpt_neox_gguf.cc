#include "base/error.h"
#include "base/json.h"
#include "models/families/gguf_families.h"

namespace tensormill {
namespace {

constexpr int64_t kMost = int64_t{1} << 30;

struct Heads {
  int64_t count, dim;
};

Heads heads(const GgufFile& file) {
  const int64_t width = file.size("gptneox.embedding_length", 1, kMost);
  const int64_t count = file.size("gptneox.attention.head_count", 1, kMost);
  if (width % count != 0) {
    throw_error(ErrorKind::kArtifactInvalid,
                "{}: key \"gptneox.attention.head_count\": {} does not divide the width {}",
                file.origin(), count, width);
  }
  return {count, width / count};
}

OrderedJson config(const GgufFile& file) {
  const std::string epsilon_key = "gptneox.attention.layer_norm_epsilon";
  const std::optional<double> epsilon = file.number(epsilon_key);
  if (!epsilon) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: key \"{}\" is missing", file.origin(),
                epsilon_key);
  }
  const Heads h = heads(file);
  const int64_t rope = file.size("gptneox.rope.dimension_count", 1, h.dim, h.dim);
  return {{"architectures", {"GPTNeoXForCausalLM"}},
          {"model_type", "gpt_neox"},
          {"hidden_act", "gelu"},
          {"vocab_size", gguf_vocabulary(file)},
          {"max_position_embeddings", file.size("gptneox.context_length", 1, kMost)},
          {"hidden_size", h.count * h.dim},
          {"intermediate_size", file.size("gptneox.feed_forward_length", 1, kMost)},
          {"num_hidden_layers", file.size("gptneox.block_count", 1, kMost)},
          {"num_attention_heads", h.count},
          {"rotary_pct", static_cast<double>(rope) / static_cast<double>(h.dim)},
          {"rotary_emb_base", file.number("gptneox.rope.freq_base").value_or(10000)},
          {"use_parallel_residual", file.boolean("gptneox.use_parallel_residual").value_or(true)},
          {"layer_norm_eps", *epsilon},
          {"tie_word_embeddings", file.tensors().count("output.weight") == 0}};
}

GgufSource source(const GgufFile& file, std::string_view tensor) {
  static const std::vector<GgufName> names = {
      {"token_embd", "gpt_neox.embed_in"},
      {"blk.{L}.attn_norm", "gpt_neox.layers.{L}.input_layernorm"},
      {"blk.{L}.attn_qkv", "gpt_neox.layers.{L}.attention.query_key_value"},
      {"blk.{L}.attn_output", "gpt_neox.layers.{L}.attention.dense"},
      {"blk.{L}.ffn_norm", "gpt_neox.layers.{L}.post_attention_layernorm"},
      {"blk.{L}.ffn_up", "gpt_neox.layers.{L}.mlp.dense_h_to_4h"},
      {"blk.{L}.ffn_down", "gpt_neox.layers.{L}.mlp.dense_4h_to_h"},
      {"output_norm", "gpt_neox.final_layer_norm"},
      {"output", "embed_out"},
  };
  GgufSource result = match_gguf_name(names, tensor);
  if (tensor.find(".attn_qkv.") != std::string_view::npos) {
    // The file has all queries, all keys, all values; the checkpoint has the three head by head.
    result.row = [h = heads(file)](int64_t row) {
      const int64_t head = row / (3 * h.dim), part = row / h.dim % 3, lane = row % h.dim;
      return (part * h.count + head) * h.dim + lane;
    };
  }
  return result;
}

}  // namespace

GgufFamily gpt_neox_gguf_family() {
  return {"gptneox", config, source};
}

}  // namespace tensormill
