#include "artifacts/adapter_config.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/json.h"

namespace tensormill {
namespace {

constexpr int64_t kMaxRank = 1 << 20, kMaxToken = int64_t{1} << 31;
constexpr std::string_view kAllLinear = "all-linear";

// What decides about training, or is said elsewhere, too.
constexpr std::string_view kWithoutEffect[] = {
    "task_type",      "auto_mapping",   "peft_version",      "inference_mode",       "lora_dropout",
    "megatron_core",  "fan_in_fan_out", "loftq_config",      "eva_config",           "corda_config",
    "lora_ga_config", "velora_config",  "qalora_group_size", "runtime_config",       "lora_bias",
    "bias",           "enable_lora",    "merge_weights",     "ephemeral_gpu_offload"};

// Starting values that are worked out of the base's weights, which lose them: what such an adapter
// was trained on isn't the base any more.
constexpr std::string_view kChangesBase[] = {"pissa", "olora", "corda", "loftq", "mica", "lora_ga"};

class Reader {
 public:
  Reader(const Json& json, const std::string& file) : json_(json), file_(file) {
    if (!json.is_object()) throw_error(ErrorKind::kArtifactInvalid, "{}: expected an object", file);
  }

  [[noreturn]] void fail(std::string_view key, std::string_view expected) const {
    throw_error(ErrorKind::kArtifactInvalid, "{}: \"{}\": expected {}", file_, key, expected);
  }
  [[noreturn]] void unsupported(std::string_view key, std::string_view why) const {
    throw_error(ErrorKind::kUnsupported, "{}: \"{}\": {} is not supported{}{}", file_, key,
                json_.at(std::string(key))
                    .dump(-1, ' ', false, Json::error_handler_t::replace)
                    .substr(0, 200),
                why.empty() ? "" : "; ", why);
  }

  // Null: absent.
  const Json* find(std::string_view key) {
    read_.insert(std::string(key));
    const auto found = json_.find(key);
    return found == json_.end() || found->is_null() ? nullptr : &*found;
  }
  std::string text(std::string_view key) {
    const Json* value = find(key);
    if (value == nullptr) return "";
    if (!value->is_string()) fail(key, "a text");
    return value->get<std::string>();
  }
  bool flag(std::string_view key) {
    const Json* value = find(key);
    if (value == nullptr) return false;
    if (!value->is_boolean()) fail(key, "true or false");
    return value->get<bool>();
  }
  double number(std::string_view key, double low, double fallback) {
    const Json* value = find(key);
    return value == nullptr ? fallback : as_number(*value, key, low);
  }
  double as_number(const Json& value, std::string_view key, double low) const {
    constexpr double kMost = 1e9;
    if (!value.is_number()) fail(key, "a number");
    const auto number = value.get<double>();
    if (!(number >= low && number <= kMost)) fail(key, fmt::format("{} to {}", low, kMost));
    return number;
  }
  int64_t as_integer(const Json& value, std::string_view key, int64_t low, int64_t high) const {
    const auto expected = [&] { return fmt::format("whole numbers from {} to {}", low, high); };
    if (!value.is_number_integer() ||
        (value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(high))) {
      fail(key, expected());
    }
    const auto number = value.get<int64_t>();
    if (number < low || number > high) fail(key, expected());
    return number;
  }
  // A number or a list of them.
  std::vector<int64_t> integers(const Json& value, std::string_view key, int64_t high) const {
    std::vector<int64_t> numbers;
    if (!value.is_array()) return {as_integer(value, key, 0, high)};
    for (const Json& item : value) numbers.push_back(as_integer(item, key, 0, high));
    return numbers;
  }
  // A text or a list of them.
  std::vector<std::string> texts(std::string_view key) {
    const Json* value = find(key);
    if (value == nullptr) return {};
    if (value->is_string()) return {value->get<std::string>()};
    if (!value->is_array()) fail(key, "a list of names");
    std::vector<std::string> result;
    for (const Json& item : *value) {
      if (!item.is_string()) fail(key, "a list of names");
      result.push_back(item.get<std::string>());
    }
    return result;
  }
  NamePattern pattern(const std::string& text, std::string_view key) const {
    return {text, fmt::format("{}: \"{}\"", file_, key)};
  }
  // A list of names, or a pattern for whole names.
  ModuleChoice modules(std::string_view key) {
    const Json* value = find(key);
    if (value != nullptr && value->is_string()) {
      return ModuleChoice(pattern(value->get<std::string>(), key));
    }
    return ModuleChoice(texts(key));
  }
  // {pattern: number}.
  template <class Number, class Read>
  void by_pattern(std::string_view key, std::vector<std::pair<NamePattern, Number>>& to,
                  Read&& read) {
    const Json* value = find(key);
    if (value == nullptr) return;
    if (!value->is_object()) fail(key, "an object of numbers");
    for (const auto& [name, item] : value->items()) {
      to.emplace_back(pattern("(.*\\.)?(" + name + ")$", key), read(item));
    }
  }

  // Errors: kUnsupported for a key that nobody read and that asks for something.
  void finish() {
    for (const std::string_view key : kWithoutEffect) find(key);
    for (const auto& [key, value] : json_.items()) {
      const bool off = value.is_null() || value == false ||
                       ((value.is_structured() || value.is_string()) && value.empty());
      if (!off && read_.count(key) == 0) unsupported(key, "");
    }
  }

 private:
  const Json& json_;
  const std::string& file_;
  std::set<std::string, std::less<>> read_;
};

void read_method(Reader& reader) {
  const std::string method = reader.text("peft_type");
  if (method != "LORA") {
    if (method.empty()) reader.fail("peft_type", "\"LORA\"");
    reader.unsupported("peft_type", "only LORA can be merged into the base model");
  }
  const Json* start = reader.find("init_lora_weights");
  if (start != nullptr && start->is_string()) {
    const auto name = start->get<std::string>();
    for (const std::string_view changes : kChangesBase) {
      if (!name.starts_with(changes)) continue;
      reader.unsupported("init_lora_weights",
                         "it changes the base's weights; save the adapter as one of the plain base "
                         "(path_initial_model_for_weight_conversion)");
    }
  }
}

void read_tokens(Reader& reader, AdapterConfig& config) {
  const Json* tokens = reader.find("trainable_token_indices");
  if (tokens == nullptr) return;
  constexpr std::string_view kKey = "trainable_token_indices";
  if (tokens->is_array()) {
    config.tokens[""] = reader.integers(*tokens, kKey, kMaxToken);  // of the embeddings
  } else if (tokens->is_object()) {
    for (const auto& [module, ids] : tokens->items()) {
      config.tokens[module] = reader.integers(ids, kKey, kMaxToken);
    }
  } else {
    reader.fail(kKey, "a list of tokens, or such lists by module");
  }
}

void read_targets(Reader& reader, AdapterConfig& config) {
  const Json* targets = reader.find("target_modules");
  std::string all = targets != nullptr && targets->is_string() ? targets->get<std::string>() : "";
  std::transform(all.begin(), all.end(), all.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  config.all_targets = all == kAllLinear;
  if (!config.all_targets) config.targets = reader.modules("target_modules");
  config.excluded = reader.modules("exclude_modules");
  if (const Json* layers = reader.find("layers_to_transform")) {
    config.layers = reader.integers(*layers, "layers_to_transform", kMaxToken);
  }
  for (const std::string& name : reader.texts("layers_pattern")) {
    if (name.empty()) continue;
    config.layer_patterns.push_back(
        reader.pattern("(?:^|.*?\\.)" + name + "\\.(\\d+)\\.", "layers_pattern"));
  }
  if (config.layer_patterns.empty()) {
    config.layer_patterns.push_back(
        reader.pattern(".*?\\.[^.]*\\.(\\d+)\\.", "layers_to_transform"));
  }
  for (const std::string& name : reader.texts("modules_to_save")) {
    config.saved.emplace_back(name,
                              reader.pattern("(^|.*\\.)" + name + "($|\\..*)", "modules_to_save"));
  }
}

}  // namespace

bool ModuleChoice::has(std::string_view module) const {
  if (pattern_) return pattern_->matches(module, true);
  return std::any_of(names_.begin(), names_.end(), [&](const std::string& name) {
    return module.ends_with(name) &&
           (module.size() == name.size() || module[module.size() - name.size() - 1] == '.');
  });
}

bool AdapterConfig::saves_module(std::string_view module) const {
  return std::any_of(saved.begin(), saved.end(),
                     [&](const auto& item) { return item.second.matches(module, false); });
}

bool AdapterConfig::targets_module(std::string_view module) const {
  if (excluded.has(module) || saves_module(module)) return false;
  if (all_targets) return true;
  if (!targets.has(module)) return false;
  if (targets.is_pattern() || layers.empty()) return true;
  for (const NamePattern& pattern : layer_patterns) {
    const std::optional<std::string> layer = pattern.first_group(module);
    if (!layer) continue;
    return std::any_of(layers.begin(), layers.end(),
                       [&](int64_t number) { return std::to_string(number) == *layer; });
  }
  return false;
}

int64_t AdapterConfig::rank_of(std::string_view module) const {
  for (const auto& [pattern, value] : ranks) {
    if (pattern.matches(module, true)) return value;
  }
  return rank;
}

float AdapterConfig::scale_of(std::string_view module) const {
  double value = alpha;
  for (const auto& [pattern, own] : alphas) {
    if (!pattern.matches(module, true)) continue;
    value = own;
    break;
  }
  const auto r = static_cast<double>(rank_of(module));
  return static_cast<float>(value / (rank_stabilized ? std::sqrt(r) : r));
}

namespace {

AdapterConfig parse(const Json& json, const std::string& file) {
  Reader reader(json, file);
  AdapterConfig config;
  config.file = file;
  read_method(reader);
  config.base = reader.text("base_model_name_or_path");
  config.revision = reader.text("revision");
  const auto read_rank = [&](const Json& value) {
    return reader.as_integer(value, "rank_pattern", 1, kMaxRank);
  };
  if (const Json* rank = reader.find("r")) config.rank = reader.as_integer(*rank, "r", 1, kMaxRank);
  config.alpha = reader.number("lora_alpha", -1e9, config.alpha);
  config.rank_stabilized = reader.flag("use_rslora");
  config.decomposed = reader.flag("use_dora");
  config.ties_weights = reader.flag("ensure_weight_tying");
  read_targets(reader, config);
  reader.by_pattern("rank_pattern", config.ranks, read_rank);
  reader.by_pattern("alpha_pattern", config.alphas, [&](const Json& value) {
    return reader.as_number(value, "alpha_pattern", -1e9);
  });
  read_tokens(reader, config);
  reader.finish();
  return config;
}

}  // namespace

AdapterConfig parse_adapter_config(std::string_view text, const std::string& file) {
  return parse(parse_json(text, file), file);
}

AdapterConfig read_adapter_config(const std::filesystem::path& file) {
  return parse(read_json_file(file), file.string());
}

}  // namespace tensormill
