#include "config/layers.h"

#include <fmt/format.h>

#include <array>

#include "config/text.h"

namespace tensormill {
namespace {

constexpr std::string_view kServing = "SERVING_", kOption = "OPTION_";

// Copied by the original's container, each only if the right-hand one isn't set.
struct Copy {
  const char *from, *to;
};
constexpr std::array<Copy, 6> kCopies = {{
    {"HF_MODEL_QUANTIZE", "OPTION_QUANTIZE"},
    {"HF_MODEL_TRUST_REMOTE_CODE", "OPTION_TRUST_REMOTE_CODE"},
    {"SM_NUM_GPUS", "TENSOR_PARALLEL_DEGREE"},
    {"MAX_CONCURRENT_REQUESTS", "SERVING_JOB_QUEUE_SIZE"},
    {"MAX_BATCH_PREFILL_TOKENS", "OPTION_MAX_ROLLING_BATCH_PREFILL_TOKENS"},
    {"MAX_BATCH_SIZE", "OPTION_MAX_ROLLING_BATCH_SIZE"},
}};

bool is_variable_name(std::string_view key) {
  return lower(key) != key && upper(key) == key;
}

std::string canonical_model_key(std::string_view key) {
  if (!find_setting(SettingScope::kModel, key)) {
    std::string prefixed = fmt::format("option.{}", key);
    if (find_setting(SettingScope::kModel, prefixed)) return prefixed;
  }
  return std::string(key);
}

}  // namespace

void Layers::put(std::string key, std::string value, std::string source) {
  values_.insert_or_assign(std::move(key), Settings::Value{std::move(value), std::move(source)});
}

void Layers::put_all(const Layers& other) {
  for (const auto& [key, value] : other.values_) values_.insert_or_assign(key, value);
}

void Layers::erase(std::string_view key) {
  const auto found = values_.find(key);
  if (found != values_.end()) values_.erase(found);
}

const Settings::Value* Layers::find(std::string_view key) const {
  const auto found = values_.find(key);
  return found == values_.end() || trim(found->second.text).empty() ? nullptr : &found->second;
}

void Layers::apply(Settings& settings) const {
  for (const auto& [key, value] : values_) settings.set(key, value.text, value.source);
}

Variables read_variables(const Environment& environment) {
  Variables variables;
  for (const auto& [name, value] : environment) {
    if (!trim(value).empty()) variables.emplace(name, Variable{value, name});
  }
  for (const Copy& copy : kCopies) {
    const auto from = variables.find(copy.from);
    if (from == variables.end()) continue;
    // A machine without GPUs says 0, which asks for no ranks at all.
    if (copy.from == std::string_view("SM_NUM_GPUS") && trim(from->second.value) == "0") continue;
    variables.emplace(copy.to, from->second);
  }
  return variables;
}

std::string variable(const Variables& variables, const std::string& name) {
  const auto found = variables.find(name);
  return found == variables.end() ? std::string() : found->second.value;
}

void put_server_variables(Layers& layers, const Variables& variables) {
  for (const auto& [name, variable] : variables) {
    if (name.starts_with(kServing)) {
      layers.put(lower(name.substr(kServing.size())), variable.value, variable.source);
    } else if (const Setting* row = find_setting(SettingScope::kServer, name);
               is_variable_name(name) && row && row->key == name) {
      // By exact name: "TF_*" would pick up what other programs were told.
      layers.put(name, variable.value, variable.source);
    }
  }
}

void put_model_variables(Layers& layers, const Variables& variables) {
  for (const auto& [name, variable] : variables) {
    if (!name.starts_with(kOption)) continue;
    const std::string rest = name.substr(kOption.size());
    std::string key = rest == "ENTRYPOINT" ? "option.entryPoint"
                      : rest == "ENGINE"   ? "engine"
                                           : "option." + lower(rest);
    layers.put(std::move(key), variable.value, variable.source);
  }
}

void put_model_values(Layers& layers,
                      const std::vector<std::pair<std::string, Settings::Value>>& values) {
  for (const bool exact : {false, true}) {
    for (const auto& [key, value] : values) {
      const std::string canonical = canonical_model_key(key);
      if ((canonical == key) == exact) layers.put(canonical, value.text, value.source);
    }
  }
}

std::vector<std::pair<std::string, Settings::Value>> with_sources(
    const std::vector<Property>& properties, const std::string& file) {
  std::vector<std::pair<std::string, Settings::Value>> values;
  for (const Property& property : properties) {
    values.emplace_back(property.key,
                        Settings::Value{property.value, fmt::format("{}:{}", file, property.line)});
  }
  return values;
}

}  // namespace tensormill
