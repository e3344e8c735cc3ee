#include "tasks/generation_config.h"

#include <spdlog/spdlog.h>

#include <limits>

#include "base/json.h"
#include "models/config_reader.h"

namespace tensormill {
namespace {

constexpr double kMost = std::numeric_limits<float>::max();

std::optional<float> number(ConfigReader& reader, std::string_view key, double low, double high) {
  if (!reader.has(key)) return std::nullopt;
  return reader.number(key, low, high);
}

std::optional<int32_t> integer(ConfigReader& reader, std::string_view key, int64_t low = 0) {
  if (!reader.has(key)) return std::nullopt;
  return reader.integer(key, low, INT32_MAX);
}

GenerationDefaults read(ConfigReader& reader) {
  GenerationDefaults out;
  if (reader.has("do_sample")) out.do_sample = reader.flag("do_sample");
  out.temperature = number(reader, "temperature", 0, kMost);
  out.top_p = number(reader, "top_p", 0, 1);
  out.typical_p = number(reader, "typical_p", 0, 1);
  out.min_p = number(reader, "min_p", 0, 1);
  out.repetition_penalty = number(reader, "repetition_penalty", 0, kMost);
  out.top_k = integer(reader, "top_k", -1);
  out.no_repeat_ngram_size = integer(reader, "no_repeat_ngram_size");
  out.max_new_tokens = integer(reader, "max_new_tokens", 1);
  out.min_new_tokens = integer(reader, "min_new_tokens");
  out.max_length = integer(reader, "max_length", 1);
  out.min_length = integer(reader, "min_length");
  if (const Json* stops = reader.value("stop_strings")) {
    out.stop_strings = stops->is_string() ? std::vector<std::string>{stops->get<std::string>()}
                                          : reader.texts("stop_strings");
  }
  return out;
}

// Keys that would change what is generated: said once at load, since nothing in a reply tells.
void log_unused(const Json& json, const std::string& file) {
  struct Row {
    const char* key;
    Json neutral;
  };
  static const Row kRows[] = {{"num_beams", 1},
                              {"penalty_alpha", nullptr},
                              {"suppress_tokens", nullptr},
                              {"begin_suppress_tokens", nullptr},
                              {"forced_bos_token_id", nullptr},
                              {"forced_eos_token_id", nullptr},
                              {"forced_decoder_ids", nullptr},
                              {"bad_words_ids", nullptr},
                              {"sequence_bias", nullptr},
                              {"exponential_decay_length_penalty", nullptr},
                              {"encoder_repetition_penalty", 1.0},
                              {"encoder_no_repeat_ngram_size", 0},
                              {"epsilon_cutoff", 0.0},
                              {"eta_cutoff", 0.0},
                              {"guidance_scale", nullptr}};
  for (const auto& [key, neutral] : kRows) {
    const auto found = json.find(key);
    if (found == json.end() || found->is_null() || *found == neutral) continue;
    if (found->is_array() && found->empty()) continue;
    spdlog::warn("{}: {} is not supported and has no effect", file, key);
  }
}

}  // namespace

GenerationDefaults read_generation_defaults(const std::filesystem::path& folder) {
  std::filesystem::path file = folder / "generation_config.json";
  const bool own = std::filesystem::exists(file);
  if (!own) file = folder / "config.json";
  if (!std::filesystem::exists(file)) return {};
  const Json json = read_json_file(file);
  ConfigReader reader(json, file.string());
  GenerationDefaults out = read(reader);
  if (own) log_unused(json, file.string());
  return out;
}

}  // namespace tensormill
