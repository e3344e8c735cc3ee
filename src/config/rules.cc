#include "config/rules.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/log_once.h"
#include "config/text.h"

namespace tensormill {
namespace {

constexpr int64_t kLargest = std::numeric_limits<int32_t>::max();

[[noreturn]] void not_allowed(const Setting& setting, std::string_view label) {
  const bool open = setting.type == SettingType::kInteger && setting.allowed.ends_with("..");
  throw_error(ErrorKind::kConfigInvalid, "{}: expected {}{}", label, describe_allowed(setting),
              open ? fmt::format(" to {}", kLargest) : "");
}

template <class T>
std::optional<T> parse_number(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

struct Range {
  double least, most;
};

// "1..", "0..1", "1.. or max"
Range range_of(std::string_view allowed) {
  const size_t dots = allowed.find("..");
  if (dots == std::string_view::npos) return {-static_cast<double>(kLargest), kLargest};
  std::string_view upper = allowed.substr(dots + 2);
  upper = upper.substr(0, upper.find(' '));
  return {parse_number<double>(allowed.substr(0, dots)).value_or(0),
          parse_number<double>(upper).value_or(static_cast<double>(kLargest))};
}

// Values that are understood and can't be had from this build, beyond the rows that are refused
// as a whole.
struct RefusedValue {
  std::string_view key, value, reason;
};
constexpr std::string_view kOneTask = "this build generates text; other tasks aren't built yet";
constexpr std::string_view kNoFloats8 = "use int8, which takes as few bytes";
constexpr RefusedValue kRefusedValues[] = {
    {"option.kv_cache_dtype", "fp8", kNoFloats8},
    {"option.kv_cache_dtype", "fp8_e4m3", kNoFloats8},
    {"option.kv_cache_dtype", "fp8_e5m2", kNoFloats8},
    {"option.dtype", "int8", "use option.quantize=dynamic_int8"},
    {"option.quantize", "smoothquant", "SmoothQuant isn't built yet"},
    {"option.task", "text-classification", kOneTask},
    {"option.task", "question-answering", kOneTask},
    {"option.task", "fill-mask", kOneTask},
    {"option.task", "token-classification", kOneTask},
    {"option.task", "text2text-generation", kOneTask},
    {"option.task", "conversational", kOneTask},
    {"option.entryPoint", "djl_python.stable-diffusion", "it generates text, not images yet"},
};

[[noreturn]] void refuse(std::string_view label, std::string_view reason) {
  throw_error(ErrorKind::kUnsupported, "{} is not supported yet by this build: {}", label, reason);
}

// "gpu1" or "1": the number; none for anything else.
std::optional<int> gpu_number(std::string_view device) {
  if (device.starts_with("gpu")) device.remove_prefix(3);
  const bool digits = !device.empty() && std::all_of(device.begin(), device.end(),
                                                     [](char c) { return c >= '0' && c <= '9'; });
  return digits ? parse_number<int>(device) : std::nullopt;
}

void check_devices(const Setting& setting, std::string_view value, std::string_view label) {
  const auto devices = split(value, ";");
  for (const std::string_view device : devices) {
    if (device == "*" || device == "cpu" || device == "-1" || gpu_number(device)) continue;
    if (device.starts_with("nc") || device.find('+') != std::string_view::npos) {
      refuse(label, "a model runs on the CPU or on one GPU");
    }
    not_allowed(setting, label);
  }
  if (devices.size() > 1) refuse(label, "there is one copy of a model; name one device");
}

void check_device(const Setting& setting, std::string_view value, std::string_view label) {
  constexpr std::string_view kNumbered = "cuda:";
  if (value == "auto" || value == "cpu" || value == "cuda") return;
  if (value.starts_with(kNumbered) && gpu_number(value.substr(kNumbered.size()))) return;
  not_allowed(setting, label);
}

std::string checked_ranks(const Setting& setting, std::string_view value, std::string_view label) {
  if (value == "max") {
    info_once(std::string(label) + " is 1: a model runs on one device");
    return "1";
  }
  const auto ranks = parse_number<int64_t>(value);
  if (!ranks || *ranks < 1 || *ranks > kLargest) not_allowed(setting, label);
  if (*ranks > 1) refuse(label, "it runs a model in one process; use 1 or max");
  return "1";
}

// Rules of single keys for texts; what the original says about a bad value is kept.
void check_text(const Setting& setting, std::string_view value, std::string_view label) {
  const std::string_view key = setting.key;
  if (key == "option.task" && value != "text-generation") {
    throw_error(ErrorKind::kConfigInvalid,
                "{}: task: {} is not currently supported by DeepSpeed; expected {}", label,
                printable(value), setting.allowed);
  }
  if (key == "option.entryPoint" && value != "djl_python.deepspeed" &&
      value != "djl_python.huggingface") {
    refuse(label, "Python handlers can't run in it; expected " + std::string(setting.allowed));
  }
  if (key == "option.device") check_device(setting, value, label);
  if (key == "load_on_devices") check_devices(setting, value, label);
}

// Other engines' names of a cache's types.
std::string_view cache_type_of(std::string_view word) {
  constexpr std::array<std::array<std::string_view, 2>, 7> kSpellings{{{"bfloat16", "bf16"},
                                                                       {"float16", "f16"},
                                                                       {"fp16", "f16"},
                                                                       {"half", "f16"},
                                                                       {"float32", "f32"},
                                                                       {"fp32", "f32"},
                                                                       {"float", "f32"}}};
  for (const auto& [typed, kept] : kSpellings) {
    if (typed == word) return kept;
  }
  return word;
}

std::string checked_choice(const Setting& setting, std::string_view value, std::string_view label) {
  std::string word(value);
  if (setting.key == "option.enable_streaming") word = lower(word);
  if (setting.key == "option.kv_cache_dtype") word = cache_type_of(value);
  const auto words = split(setting.allowed, "|");
  if (std::find(words.begin(), words.end(), word) != words.end()) return word;
  if (setting.key == "option.dtype") {
    throw_error(ErrorKind::kConfigInvalid, "{}: Invalid data type: {}; expected {}", label,
                printable(value), describe_allowed(setting));
  }
  if (setting.key == "option.rolling_batch") {
    throw_error(ErrorKind::kConfigInvalid,
                "{}: deepspeed engine only supports rolling batch type ['auto', 'deepspeed']. "
                "Expected {}",
                label, describe_allowed(setting));
  }
  not_allowed(setting, label);
}

std::string checked_type(const Setting& setting, std::string_view value, std::string_view label) {
  switch (setting.type) {
    case SettingType::kFlag:
      return parse_flag(setting, value, label) ? "true" : "false";
    case SettingType::kInteger: {
      if (setting.key == "option.tensor_parallel_degree") {
        return checked_ranks(setting, value, label);
      }
      const auto number = parse_number<int64_t>(value);
      const Range range = range_of(setting.allowed);
      const auto as_double = static_cast<double>(number.value_or(0));
      if (!number || as_double < range.least || as_double > range.most) {
        not_allowed(setting, label);
      }
      return std::to_string(*number);
    }
    case SettingType::kNumber: {
      const auto number = parse_number<double>(value);
      const Range range = range_of(setting.allowed);
      if (!number || !(*number >= range.least && *number <= range.most)) {
        not_allowed(setting, label);
      }
      return std::string(value);
    }
    case SettingType::kChoice:
      return checked_choice(setting, value, label);
    case SettingType::kText:
      break;
  }
  return std::string(value);
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t corner = row[0]++;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = corner + (a[i] == b[j] ? 0 : 1);
      corner = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string shown_value(std::string_view key, std::string_view value) {
  const std::string name = lower(key);
  // option.env holds variables of a worker, tokens among them.
  for (const char* secret : {"token", "pass", "password", "secret", "option.env"}) {
    if (name.ends_with(secret)) return "***";
  }
  return printable(value);
}

std::string describe_allowed(const Setting& setting) {
  const std::string allowed(setting.allowed);
  switch (setting.type) {
    case SettingType::kFlag:
      return "true or false";
    case SettingType::kChoice:
      return "one of " + allowed;
    case SettingType::kText:
      return allowed.empty() ? "a text" : allowed;
    case SettingType::kInteger:
    case SettingType::kNumber:
      break;
  }
  const std::string kind = setting.type == SettingType::kInteger ? "an integer" : "a number";
  const size_t dots = allowed.find("..");
  if (dots == std::string::npos) return kind;
  const std::string upper = allowed.substr(dots + 2);
  if (upper.empty()) return kind + " from " + allowed.substr(0, dots);
  if (upper.starts_with(" or")) return kind + " from " + allowed.substr(0, dots) + upper;
  return kind + " from " + allowed.substr(0, dots) + " to " + upper;
}

bool has_strict_flags(const Setting& setting) {
  return setting.scope == SettingScope::kModel && setting.key.starts_with("option.");
}

bool parse_flag(const Setting& setting, std::string_view value, std::string_view label) {
  const std::string word = lower(value);
  if (!has_strict_flags(setting)) return word == "true";
  static constexpr std::array kTrue = {"1", "on", "t", "true", "y", "yes"};
  static constexpr std::array kFalse = {"0", "off", "f", "false", "n", "no"};
  if (std::find(kTrue.begin(), kTrue.end(), word) != kTrue.end()) return true;
  if (std::find(kFalse.begin(), kFalse.end(), word) != kFalse.end()) return false;
  throw_error(ErrorKind::kConfigInvalid,
              "{}: value could not be parsed to a boolean; expected true or false", label);
}

std::string checked_value(const Setting& setting, std::string_view value, std::string_view label) {
  for (const RefusedValue& refused : kRefusedValues) {
    if (refused.key == setting.key && refused.value == value) refuse(label, refused.reason);
  }
  if (setting.type == SettingType::kText) check_text(setting, value, label);
  std::string checked = checked_type(setting, value, label);
  if (setting.effect != SettingEffect::kRefused || checked == setting.default_value) {
    return checked;
  }
  refuse(label, setting.help);
}

std::string_view nearest_key(SettingScope scope, std::string_view key) {
  constexpr size_t kLongest = 64;  // no known key is longer, and the distance costs the product
  if (key.size() > kLongest) return {};
  // The prefix says nothing: option.job_queue_size means job_queue_size.
  const auto name_of = [](std::string_view full) {
    constexpr std::string_view kPrefix = "option.";
    return lower(full.starts_with(kPrefix) ? full.substr(kPrefix.size()) : full);
  };
  const std::string name = name_of(key);
  std::string_view nearest;
  size_t least = std::max<size_t>(1, name.size() / 3) + 1;
  for (const Setting& setting : setting_table()) {
    if (setting.scope != scope) continue;
    const size_t distance = edit_distance(name, name_of(setting.key));
    if (distance < least) {
      least = distance;
      nearest = setting.key;
    }
  }
  return nearest;
}

}  // namespace tensormill
