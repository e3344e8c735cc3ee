#include "cli/load_model.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <vector>

#include "artifacts/model_source.h"
#include "base/error.h"
#include "base/log.h"
#include "cli/interrupt_guard.h"
#include "models/weight_format.h"

namespace tensormill {

ModelChoices choose_model(const CommonOptions& options, bool random_weights,
                          std::initializer_list<std::string_view> also) {
  std::vector<std::string_view> known = {
      "option.cpu_level",      "option.device",   "option.dtype",
      "option.kv_cache_dtype", "option.quantize", "option.random_weights",
      "option.revision",       "option.threads",  "option.variant"};
  known.insert(known.end(), also);
  ModelChoices choices;
  choices.common = options;
  for (const auto& [key, value] : options.options) {
    const Setting* setting = find_setting(SettingScope::kModel, key);
    const bool acts = setting == nullptr || setting->effect == SettingEffect::kActs;
    if (acts && std::find(known.begin(), known.end(), key) == known.end()) {
      throw_error(ErrorKind::kBadRequest, "-o {}: this command reads {}", key,
                  fmt::join(known, ", "));
    }
    // The table knows the container's spellings of types; the others are checked by choose_format.
    const bool other_dtype = key == "option.dtype" && parse_weight_format(value).has_value();
    if (!other_dtype) choices.settings.set(key, value, "-o");
    if (key == "option.dtype" && options.dtype.empty()) choices.common.dtype = value;
  }
  if (!options.kv_cache_dtype.empty()) {
    choices.settings.set("option.kv_cache_dtype", options.kv_cache_dtype, "--kv-cache-dtype");
  }
  const CommonOptions defaults;
  const Settings& settings = choices.settings;
  if (options.device == defaults.device) choices.common.device = settings.text("option.device");
  if (options.quantize == defaults.quantize) {
    choices.common.quantize = settings.text("option.quantize");
  }
  if (options.cpu_level == defaults.cpu_level) {
    choices.common.cpu_level = settings.text("option.cpu_level");
  }
  if (options.threads == defaults.threads) {
    choices.common.threads = static_cast<int>(settings.integer("option.threads"));
  }
  if (options.variant.empty()) choices.common.variant = settings.text("option.variant");
  choices.random_weights = random_weights || settings.flag("option.random_weights");
  return choices;
}

std::optional<DType> ModelChoices::cache_type() const {
  return parse_cache_type(settings.text("option.kv_cache_dtype"));
}

ModelParts parts_of(const ModelChoices& choices) {
  return choices.random_weights ? ModelParts::kWithoutWeights : ModelParts::kAll;
}

std::optional<WeightFormat> choose_format(const CommonOptions& options) {
  const std::string& name = options.dtype;
  if (name.empty() || name == "auto") return std::nullopt;
  const std::optional<WeightFormat> format = parse_weight_format(name);
  if (!format) {
    throw_error(ErrorKind::kBadRequest, "--dtype {}: expected f32, f16 or bf16", name);
  }
  return format;
}

Quantization choose_quantization(const CommonOptions& options) {
  const std::optional<Quantization> quantize = parse_quantization(options.quantize);
  if (!quantize) {
    throw_error(ErrorKind::kBadRequest, "--quantize {}: expected dynamic_int8", options.quantize);
  }
  return *quantize;
}

std::filesystem::path find_model_folder(const std::string& model, const CommonOptions& options,
                                        ModelParts parts) {
  const InterruptGuard guard;
  ModelSource source;
  source.model = model;
  source.parts = parts;
  for (const auto& [key, value] : options.options) {
    if (key == "option.revision") source.revision = value;
    if (key == "option.variant") source.variant = value;
  }
  if (!options.revision.empty()) source.revision = options.revision;
  if (!options.variant.empty()) source.variant = options.variant;
  return locate_model(source);
}

LoadedModel load_model(const std::string& name, const CommonOptions& given, bool random_weights) {
  const ModelChoices choices = choose_model(given, random_weights);
  const std::filesystem::path folder = find_model_folder(name, given, parts_of(choices));
  const CommonOptions& options = choices.common;
  LoadedModel loaded;
  const int threads = options.threads > 0 ? options.threads : usable_cores();
  loaded.team = std::make_unique<ThreadTeam>(threads);
  loaded.place = open_place(options.device, options.cpu_level, *loaded.team);
  LoadOptions load;
  load.kernels = loaded.place.kernels;
  load.stream = loaded.place.stream;
  load.device = loaded.place.device;
  load.format = choose_format(options);
  load.variant = options.variant;
  load.quantize = choose_quantization(options);
  load.cache_type = choices.cache_type();
  load.random_weights = choices.random_weights;
  loaded.model = Model::load(folder, load);
  spdlog::info("{}: {} on {}, {} threads, {} kernels", folder.string(),
               loaded.model->info().model_type, load.device->name(), threads, load.kernels->name);
  return loaded;
}

}  // namespace tensormill
