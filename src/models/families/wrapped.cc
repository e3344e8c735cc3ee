#include "models/families/wrapped.h"

#include <algorithm>
#include <array>

#include "base/json.h"
#include "models/common_config.h"

namespace tensormill {
namespace {

// A model that also sees or hears, whose language model is of a family of its own: that one is
// loaded, and runs as it does there when no picture or sound comes.
struct Wrapper {
  std::string_view model_type;
  const char* text_type;    // what a text_config without model_type is of
  std::string_view prefix;  // usual before the base model's names
};

constexpr std::string_view kCausal = "language_model.model.", kBase = "model.language_model.",
                           kText = "model.text_model.";
constexpr std::array kWrappers{
    Wrapper{"aya_vision", "cohere2", kCausal},
    Wrapper{"cohere2_vision", "cohere2", kBase},
    Wrapper{"deepseek_vl", "llama", kBase},
    Wrapper{"got_ocr2", "qwen2", kCausal},
    Wrapper{"idefics3", "llama", kText},
    Wrapper{"internvl", "qwen2", kCausal},
    Wrapper{"llava", "llama", kCausal},
    Wrapper{"llava_next", "llama", kCausal},
    Wrapper{"llava_next_video", "llama", kCausal},
    Wrapper{"llava_onevision", "qwen2", kCausal},
    Wrapper{"mistral3", "mistral", kCausal},
    Wrapper{"perception_lm", "llama", kBase},
    Wrapper{"qwen2_audio", "qwen2", kCausal},
    Wrapper{"smolvlm", "llama", kText},
    Wrapper{"video_llava", "llama", kCausal},
    Wrapper{"vipllava", "llama", kCausal},
    Wrapper{"voxtral", "llama", kCausal},
};

const Wrapper* find_wrapper(std::string_view model_type) {
  const auto* const found = std::find_if(kWrappers.begin(), kWrappers.end(), [&](const Wrapper& w) {
    return w.model_type == model_type;
  });
  return found == kWrappers.end() ? nullptr : found;
}

// What the reference's class of the text model sets where its part of the file leaves out a key,
// as files of 2023 do.
void set_usual(ConfigReader& text, std::string_view type) {
  const auto usual = [&](int vocabulary, int inner) {
    text.usual("vocab_size", vocabulary);
    text.usual("hidden_size", 4096);
    text.usual("intermediate_size", inner);
    text.usual("num_hidden_layers", 32);
    text.usual("num_attention_heads", 32);
  };
  if (type == "llama") usual(32000, 11008);
  if (type == "mistral") usual(32000, 14336);
  if (type == "mistral") text.usual("num_key_value_heads", 8);
  if (type == "qwen2") usual(151936, 22016);
  if (type == "qwen2") text.usual("num_key_value_heads", 32);
}

// Of the other parts: where they put what they make, and how.
void skip_other_parts(ConfigReader& config) {
  config.without_effect(
      {"adapter_layer_norm_eps", "alignment_intermediate_size", "audio_config", "audio_token_id",
       "audio_token_index", "downsample_factor", "downsample_ratio", "hidden_size", "ignore_index",
       "image_grid_pinpoints", "image_seq_length", "image_token_id", "image_token_index",
       "max_splits_per_img", "multimodal_projector_bias", "projection_dim", "projector_hidden_act",
       "projector_layernorm_eps", "projector_pooling_ratio", "scale_factor", "spatial_merge_size",
       "spatial_pool_mode", "spatial_pool_stride", "use_image_newline_parameter",
       "video_seq_length", "video_token_id", "video_token_index", "vision_aspect_ratio",
       "vision_config", "vision_feature_layer", "vision_feature_layers",
       "vision_feature_select_strategy", "vision_use_cls_token",
       // The text model's own key decides.
       "tie_word_embeddings", "vocab_size"});
}

}  // namespace

std::vector<std::string> wrapped_model_types() {
  std::vector<std::string> names;
  for (const Wrapper& wrapper : kWrappers) names.emplace_back(wrapper.model_type);
  return names;
}

FamilyModel describe_wrapped(ConfigReader& config) {
  const Wrapper& wrapper = *find_wrapper(config.text("model_type"));
  ConfigReader text = config.object("text_config");
  text.usual("model_type", wrapper.text_type);
  const std::string type = text.text("model_type");
  if (find_wrapper(type)) text.unsupported("model_type", "a language model of its own");
  set_usual(text, type);
  FamilyModel model = find_family(type, text.file()).describe(text);
  model.names.prefix = wrapper.prefix;
  model.names.buffers.insert(
      model.names.buffers.end(),
      {"vision_tower.*", "vision_model.*", "image_tower.*", "video_tower.*", "audio_tower.*",
       "multi_modal_projector.*", "connector.*", "aligner.*", "image_newline"});
  read_common_keys(text);
  // The others: fields of the vision model's helpers that some files hold, too.
  text.without_effect({"bos_token_id", "eos_token_id", "pad_token_id", "pixel_shuffle_factor",
                       "perceiver_config", "use_resampler", "neftune_noise_alpha",
                       "is_llama_config"});
  if (text.flag("qk_layer_norms", false)) text.unsupported("qk_layer_norms", "false");
  skip_other_parts(config);
  return model;
}

}  // namespace tensormill
