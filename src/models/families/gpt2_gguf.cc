#include "base/error.h"
#include "base/json.h"
#include "models/families/gguf_families.h"

namespace tensormill {
namespace {

constexpr int64_t kMost = int64_t{1} << 30;

OrderedJson config(const GgufFile& file) {
  const std::optional<double> epsilon = file.number("gpt2.attention.layer_norm_epsilon");
  if (!epsilon) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: key \"{}\" is missing", file.origin(),
                "gpt2.attention.layer_norm_epsilon");
  }
  const int64_t width = file.size("gpt2.embedding_length", 1, kMost);
  return {{"architectures", {"GPT2LMHeadModel"}},
          {"model_type", "gpt2"},
          {"activation_function", "gelu_new"},
          {"vocab_size", gguf_vocabulary(file)},
          {"n_positions", file.size("gpt2.context_length", 1, kMost)},
          {"n_embd", width},
          {"n_inner", file.size("gpt2.feed_forward_length", 1, kMost, 4 * width)},
          {"n_layer", file.size("gpt2.block_count", 1, kMost)},
          {"n_head", file.size("gpt2.attention.head_count", 1, kMost)},
          {"layer_norm_epsilon", *epsilon},
          {"scale_attn_weights", true},
          {"tie_word_embeddings", file.tensors().count("output.weight") == 0}};
}

GgufSource source(const GgufFile&, std::string_view tensor) {
  static const std::vector<GgufName> names = {
      {"token_embd", "transformer.wte"},
      {"position_embd", "transformer.wpe"},
      {"blk.{L}.attn_norm", "transformer.h.{L}.ln_1"},
      {"blk.{L}.attn_qkv", "transformer.h.{L}.attn.c_attn", true},
      {"blk.{L}.attn_output", "transformer.h.{L}.attn.c_proj", true},
      {"blk.{L}.ffn_norm", "transformer.h.{L}.ln_2"},
      {"blk.{L}.ffn_up", "transformer.h.{L}.mlp.c_fc", true},
      {"blk.{L}.ffn_down", "transformer.h.{L}.mlp.c_proj", true},
      {"output_norm", "transformer.ln_f"},
      {"output", "lm_head"},
  };
  return match_gguf_name(names, tensor);
}

}  // namespace

GgufFamily gpt2_gguf_family() {
  return {"gpt2", config, source};
}

}  // namespace tensormill
