#include "config/settings.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <stdexcept>
#include <unordered_map>

#include "base/log_once.h"
#include "config/rules.h"
#include "config/table.h"
#include "config/text.h"

namespace tensormill {
namespace {

const Setting& required(SettingScope scope, std::string_view key) {
  const Setting* setting = find_setting(scope, key);
  if (!setting) throw std::logic_error(fmt::format("\"{}\" is not in the table of settings", key));
  return *setting;
}

}  // namespace

std::span<const Setting> setting_table() {
  static const std::vector<Setting> table = [] {
    std::vector<Setting> rows(server_setting_rows().begin(), server_setting_rows().end());
    rows.insert(rows.end(), model_setting_rows().begin(), model_setting_rows().end());
    return rows;
  }();
  return table;
}

const Setting* find_setting(SettingScope scope, std::string_view key) {
  using Rows = std::unordered_map<std::string_view, const Setting*>;
  static const std::array<Rows, 2> exact = [] {
    std::array<Rows, 2> rows;
    for (const Setting& setting : setting_table()) {
      rows[static_cast<size_t>(setting.scope)].emplace(setting.key, &setting);
    }
    return rows;
  }();
  const Rows& rows = exact[static_cast<size_t>(scope)];
  const auto found = rows.find(key);
  if (found != rows.end()) return found->second;
  if (scope != SettingScope::kServer) return nullptr;  // only the server has rows like "TF_*"
  for (const Setting& setting : server_setting_rows()) {
    if (!setting.key.ends_with('*')) continue;
    const std::string_view prefix = setting.key.substr(0, setting.key.size() - 1);
    if (key.starts_with(prefix)) return rows.at(setting.key);
  }
  return nullptr;
}

Settings::Settings(SettingScope scope) : scope_(scope) {}

void Settings::set(std::string_view key, std::string_view value, std::string_view source) {
  value = trim(value);
  const Setting* setting = find_setting(scope_, key);
  if (value.empty()) {  // the same as not given, so a later source can take an earlier one back
    values_.erase(std::string(key));
    return;
  }
  if (!setting) {
    const std::string_view nearest = nearest_key(scope_, key);
    warn_once(fmt::format("{} ({}): unknown setting, ignored{}", printable(key), source,
                          nearest.empty() ? "" : fmt::format("; did you mean {}?", nearest)));
    values_.insert_or_assign(std::string(key), Value{std::string(value), std::string(source)});
    return;
  }
  std::string label = fmt::format("{}={}", printable(key), shown_value(key, value));
  if (source != key) label += fmt::format(" ({})", source);
  std::string checked = checked_value(*setting, value, label);
  if (setting->effect == SettingEffect::kNoEffect) {
    info_once(fmt::format("{} has no effect: {}", label, setting->help));
  }
  values_.insert_or_assign(std::string(key), Value{std::move(checked), std::string(source)});
}

bool Settings::is_set(std::string_view key) const {
  required(scope_, key);
  return values_.find(key) != values_.end();
}

const std::string& Settings::text(std::string_view key) const {
  const Setting& setting = required(scope_, key);
  const auto found = values_.find(key);
  if (found != values_.end()) return found->second.text;
  static const std::map<const Setting*, std::string> defaults = [] {
    std::map<const Setting*, std::string> texts;
    for (const Setting& row : setting_table()) texts.emplace(&row, row.default_value);
    return texts;
  }();
  return defaults.at(&setting);
}

int64_t Settings::integer(std::string_view key) const {
  if (required(scope_, key).type != SettingType::kInteger) {
    throw std::logic_error(fmt::format("\"{}\" is no integer setting", key));
  }
  const std::string& value = text(key);
  int64_t number = 0;
  std::from_chars(value.data(), value.data() + value.size(), number);
  return number;
}

double Settings::number(std::string_view key) const {
  const std::string& value = text(key);
  double number = 0;
  std::from_chars(value.data(), value.data() + value.size(), number);
  return number;
}

bool Settings::flag(std::string_view key) const {
  if (required(scope_, key).type != SettingType::kFlag) {
    throw std::logic_error(fmt::format("\"{}\" is no flag", key));
  }
  return text(key) == "true";
}

Settings::Value Settings::value(std::string_view key) const {
  required(scope_, key);
  const auto found = values_.find(key);
  if (found != values_.end()) return found->second;
  return {text(key), "default"};
}

}  // namespace tensormill
