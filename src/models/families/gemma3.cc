#include "base/json.h"
#include "models/families/families.h"
#include "models/llama_like.h"

namespace tensormill {
namespace {

// The text model's, under another prefix.
Names names(Names text) {
  text.prefix = "language_model.model.";
  for (NameRow& row : text.rows) {
    if (row.role == Role::kHead) row.pattern = "language_model.lm_head";
  }
  text.buffers.insert(text.buffers.end(), {"vision_tower.*", "multi_modal_projector.*"});
  return text;
}

}  // namespace

// The text model of one that also sees images.
FamilyModel describe_gemma3(ConfigReader& config) {
  ConfigReader text = config.object("text_config");
  text.usual("vocab_size", 262208);
  text.usual("num_attention_heads", 8);
  text.usual("num_key_value_heads", 4);
  text.usual("rope_theta", 1e6);
  FamilyModel model = describe_gemma3_text(text);
  model.names = names(std::move(model.names));
  read_common_keys(text);
  text.without_effect({"bos_token_id", "eos_token_id", "pad_token_id"});
  if (!config.flag("tie_word_embeddings", true)) config.unsupported("tie_word_embeddings", "true");
  config.without_effect({"vision_config", "mm_tokens_per_image", "boi_token_index",
                         "eoi_token_index", "image_token_index"});
  return model;
}

}  // namespace tensormill
