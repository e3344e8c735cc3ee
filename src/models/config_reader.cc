#include "models/config_reader.h"

#include <fmt/ranges.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/json.h"

namespace tensormill {
namespace {

constexpr size_t kShownValue = 80;

bool is_whole(const Json& value) {
  if (value.is_number_integer()) return true;
  return value.is_number_float() && std::trunc(value.get<double>()) == value.get<double>();
}

}  // namespace

struct ConfigReader::State {
  std::set<std::string, std::less<>> read;                   // full names
  std::vector<std::pair<const Json*, std::string>> objects;  // with their prefixes
  std::map<std::string, Json, std::less<>> usual;            // of full names that may be absent
};

ConfigReader::ConfigReader(const Json& object, std::string file)
    : ConfigReader(object, std::move(file), "", std::make_shared<State>()) {}

ConfigReader::ConfigReader(const Json& object, std::string file, std::string prefix,
                           std::shared_ptr<State> state)
    : object_(&object),
      file_(std::move(file)),
      prefix_(std::move(prefix)),
      state_(std::move(state)) {
  if (!object.is_object()) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: expected a JSON object", file_);
  }
  for (const auto& known : state_->objects) {
    if (known.first == object_) return;
  }
  state_->objects.emplace_back(object_, prefix_);
}

bool ConfigReader::has(std::string_view key) const {
  const Json* value = peek(key);
  return value != nullptr && !value->is_null();
}

void ConfigReader::usual(std::string_view key, const Json& value) {
  state_->usual.insert_or_assign(prefix_ + std::string(key), value);
}

const Json* ConfigReader::peek(std::string_view key) const {
  const auto item = object_->find(key);
  if (item != object_->end()) return &*item;
  const auto usual = state_->usual.find(prefix_ + std::string(key));
  return usual == state_->usual.end() ? nullptr : &usual->second;
}

bool ConfigReader::is_null(std::string_view key) const {
  const auto item = object_->find(key);
  return item != object_->end() && item->is_null();
}

bool ConfigReader::is_text(std::string_view key) const {
  const auto item = object_->find(key);
  return item != object_->end() && item->is_string();
}

const Json* ConfigReader::find(std::string_view key) {
  state_->read.insert(prefix_ + std::string(key));
  const Json* value = peek(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

const Json& ConfigReader::require(std::string_view key, std::string_view expected) {
  const Json* value = find(key);
  if (value == nullptr) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: {}{} is missing, expected {}", file_, prefix_,
                key, expected);
  }
  return *value;
}

std::string ConfigReader::shown(std::string_view key) const {
  const auto item = object_->find(key);
  if (item == object_->end()) return "absent";
  std::string text = item->dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > kShownValue) text = text.substr(0, kShownValue) + "...";
  return text;
}

void ConfigReader::fail(std::string_view key, std::string_view expected) const {
  throw_error(ErrorKind::kArtifactInvalid, "{}: {}{} is {}, expected {}", file_, prefix_, key,
              shown(key), expected);
}

void ConfigReader::unsupported(std::string_view key, std::string_view expected) const {
  throw_error(ErrorKind::kUnsupported, "{}: {}{} is {}, supported: {}", file_, prefix_, key,
              shown(key), expected);
}

int32_t ConfigReader::integer(std::string_view key, int64_t low, int64_t high,
                              std::optional<int32_t> fallback) {
  if (fallback && find(key) == nullptr) return *fallback;
  const std::string expected = fmt::format("a whole number from {} to {}", low, high);
  const Json& value = require(key, expected);
  if (!is_whole(value)) fail(key, expected);
  // As double first: it holds every allowed value, and huge ones don't wrap.
  const auto number = value.get<double>();
  if (number < static_cast<double>(low) || number > static_cast<double>(high)) fail(key, expected);
  return static_cast<int32_t>(number);
}

float ConfigReader::number(std::string_view key, double low, double high,
                           std::optional<float> fallback) {
  if (fallback && find(key) == nullptr) return *fallback;
  const std::string expected = fmt::format("a number from {} to {}", low, high);
  const Json& value = require(key, expected);
  if (!value.is_number()) fail(key, expected);
  const auto number = value.get<double>();
  if (!(number >= low && number <= high)) fail(key, expected);
  return static_cast<float>(number);
}

std::vector<float> ConfigReader::numbers(std::string_view key, size_t count, double low,
                                         double high) {
  const std::string expected = fmt::format("a list of {} numbers from {} to {}", count, low, high);
  const Json& list = require(key, expected);
  if (!list.is_array() || list.size() != count) fail(key, expected);
  std::vector<float> result;
  for (const Json& item : list) {
    if (!item.is_number()) fail(key, expected);
    const auto number = item.get<double>();
    if (!(number >= low && number <= high)) fail(key, expected);
    result.push_back(static_cast<float>(number));
  }
  return result;
}

bool ConfigReader::flag(std::string_view key, std::optional<bool> fallback) {
  if (fallback && find(key) == nullptr) return *fallback;
  const Json& value = require(key, "true or false");
  if (!value.is_boolean()) fail(key, "true or false");
  return value.get<bool>();
}

std::string ConfigReader::text(std::string_view key, std::optional<std::string> fallback) {
  if (fallback && find(key) == nullptr) return *fallback;
  const Json& value = require(key, "a text");
  if (!value.is_string()) fail(key, "a text");
  return value.get<std::string>();
}

std::vector<std::string> ConfigReader::texts(std::string_view key) {
  const Json* value = find(key);
  if (value == nullptr) return {};
  if (!value->is_array()) fail(key, "a list of texts");
  std::vector<std::string> result;
  for (const Json& item : *value) {
    if (!item.is_string()) fail(key, "a list of texts");
    result.push_back(item.get<std::string>());
  }
  return result;
}

std::vector<int32_t> ConfigReader::ids(std::string_view key) {
  constexpr std::string_view kExpected = "a token id or a list of them";
  const Json* value = find(key);
  if (value == nullptr) return {};
  const Json list = value->is_array() ? *value : Json::array({*value});
  std::vector<int32_t> result;
  for (const Json& item : list) {
    if (!item.is_number_integer()) fail(key, kExpected);
    const auto id = item.get<double>();
    if (id > std::numeric_limits<int32_t>::max()) fail(key, kExpected);
    if (id >= 0) result.push_back(static_cast<int32_t>(id));
  }
  return result;
}

ConfigReader ConfigReader::object(std::string_view key) {
  const Json& value = require(key, "an object");
  if (!value.is_object()) fail(key, "an object");
  return {value, file_, prefix_ + std::string(key) + ".", state_};
}

void ConfigReader::without_effect(std::initializer_list<std::string_view> keys) {
  for (const std::string_view key : keys) state_->read.insert(prefix_ + std::string(key));
}

void ConfigReader::finish() const {
  std::vector<std::string> unread;
  for (const auto& [object, prefix] : state_->objects) {
    for (const auto& item : object->items()) {
      if (item.value().is_null()) continue;
      std::string name = prefix + item.key();
      if (!state_->read.contains(name)) unread.push_back(std::move(name));
    }
  }
  if (unread.empty()) return;
  throw_error(ErrorKind::kArtifactInvalid,
              "{}: unknown {}: {}; a key that this family doesn't know might change its results",
              file_, unread.size() == 1 ? "key" : "keys", fmt::join(unread, ", "));
}

}  // namespace tensormill
