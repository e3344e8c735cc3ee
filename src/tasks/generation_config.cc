#include "tasks/generation_config.h"

#include <spdlog/spdlog.h>

#include <limits>
#include <utility>

#include "base/error.h"
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

// A list of lists of token ids.
std::vector<std::vector<int32_t>> read_words(ConfigReader& reader, const char* key) {
  std::vector<std::vector<int32_t>> words;
  const Json* const value = reader.value(key);
  if (!value) return words;
  const auto require = [&](bool good) {
    if (!good) reader.fail(key, "a list of lists of token ids");
  };
  require(value->is_array());
  for (const Json& item : *value) {
    require(item.is_array() && !item.empty());
    std::vector<int32_t>& word = words.emplace_back();
    for (const Json& id : item) {
      require(id.is_number_integer() && id >= 0 && id <= INT32_MAX);
      word.push_back(id.get<int32_t>());
    }
  }
  return words;
}

std::shared_ptr<const TokenRules> read_rules(ConfigReader& reader, int32_t vocabulary) {
  TokenRules rules;
  rules.bad_words = read_words(reader, "bad_words_ids");
  rules.suppressed = reader.ids("suppress_tokens");
  rules.begin_suppressed = reader.ids("begin_suppress_tokens");
  rules.second = reader.ids("forced_bos_token_id");
  rules.last = reader.ids("forced_eos_token_id");
  if (rules.empty()) return nullptr;
  try {
    validate(rules, vocabulary);
  } catch (const Error& error) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: {}", reader.file(), error.what());
  }
  return std::make_shared<const TokenRules>(std::move(rules));
}

GenerationDefaults read(ConfigReader& reader, int32_t vocabulary) {
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
  out.rules = read_rules(reader, vocabulary);
  return out;
}

// Keys that would change what is generated: said once at load, since nothing in a reply tells.
void log_unused(const Json& json, const std::string& file) {
  struct Row {
    const char* key;
    Json neutral;
  };
  static const Row kRows[] = {{"penalty_alpha", nullptr},
                              {"forced_decoder_ids", nullptr},
                              {"force_words_ids", nullptr},
                              {"constraints", nullptr},
                              {"sequence_bias", nullptr},
                              {"watermarking_config", nullptr},
                              {"token_healing", false},
                              {"max_time", nullptr},
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
  const auto beams = json.find("num_beams");
  if (beams != json.end() && beams->is_number_integer() && *beams > 1) {
    spdlog::warn(
        "{}: num_beams is {}, but there is no beam search here: each step takes the most likely "
        "token or, where sampling is asked for, draws one",
        file, beams->get<int64_t>());
  }
}

}  // namespace

GenerationDefaults read_generation_defaults(const std::filesystem::path& folder,
                                            int32_t vocabulary) {
  std::filesystem::path file = folder / "generation_config.json";
  const bool own = std::filesystem::exists(file);
  if (!own) file = folder / "config.json";
  if (!std::filesystem::exists(file)) return {};
  Json json = read_json_file(file);
  // Of a model in a model: what the outer one doesn't say.
  if (const auto text = json.find("text_config"); !own && text != json.end() && text->is_object()) {
    const Json inner = *text;
    for (const auto& item : inner.items()) {
      if (!json.contains(item.key()) || json[item.key()].is_null()) json[item.key()] = item.value();
    }
  }
  ConfigReader reader(json, file.string());
  GenerationDefaults out = read(reader, vocabulary);
  if (own) log_unused(json, file.string());
  return out;
}

}  // namespace tensormill
