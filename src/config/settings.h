#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tensormill {

enum class SettingType : uint8_t { kText, kInteger, kNumber, kFlag, kChoice };
enum class SettingScope : uint8_t { kServer, kModel };
enum class SettingEffect : uint8_t { kActs, kNoEffect, kRefused };

// One row of the one table of settings; parser, --help, --print-config and docs all read it.
struct Setting {
  std::string_view key;  // "job_queue_size", "option.max_tokens": as in the files
  SettingScope scope;
  SettingType type;
  std::string_view default_value;
  std::string_view allowed;  // "1..", "0..1", "fp32|fp16|bf16|int8", "" for any
  SettingEffect effect;
  std::string_view help;  // one line; for kNoEffect and kRefused: why
};
std::span<const Setting> setting_table();
const Setting* find_setting(SettingScope scope, std::string_view key);  // null: unknown

// Values by key, each with where it came from, kept in one spelling: "true" and "false", words in
// the table's case, numbers without a sign or blanks. Typed getters know the default of the table;
// asking for a key that isn't in the table is a broken invariant (std::logic_error).
class Settings {
 public:
  struct Value {
    std::string text;
    std::string source;  // "default", "/m/serving.properties:3", "OPTION_DTYPE", "--dtype"
  };

  explicit Settings(SettingScope scope);

  // Checks type and range: kConfigInvalid naming key, value, source and what is allowed, or
  // kUnsupported for what this build refuses. Later calls win; an empty value takes earlier ones
  // back. What has no effect is logged once. Unknown keys are kept and warned about once, with the
  // nearest known key.
  void set(std::string_view key, std::string_view value, std::string_view source);

  bool is_set(std::string_view key) const;  // by anything but the default
  const std::string& text(std::string_view key) const;
  int64_t integer(std::string_view key) const;
  double number(std::string_view key) const;
  bool flag(std::string_view key) const;
  Value value(std::string_view key) const;

  SettingScope scope() const { return scope_; }
  const std::map<std::string, Value, std::less<>>& explicit_values() const { return values_; }

 private:
  SettingScope scope_;
  std::map<std::string, Value, std::less<>> values_;
};

}  // namespace tensormill
