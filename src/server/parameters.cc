#include "server/parameters.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <random>

#include "base/error.h"
#include "base/json.h"
#include "server/python_json.h"

namespace tensormill {
namespace {

constexpr size_t kMaxTexts = 64;
constexpr size_t kMaxTextBytes = 4096;

std::string shown(const OrderedJson& value) {
  std::string text = value.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
  if (text.size() <= 100) return text;
  size_t end = 100;
  while (end > 0 && (text[end] & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

std::string plain(double value) {
  return fmt::format("{:g}", value);
}

// Integers may come as 3.0, but not as true.
std::optional<int64_t> whole(const OrderedJson& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<uint64_t>();
    if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
    return static_cast<int64_t>(number);
  }
  if (value.is_number_integer()) return value.get<int64_t>();
  if (!value.is_number_float()) return std::nullopt;
  const double number = value.get<double>();
  if (std::abs(number) > 9e15 || std::floor(number) != number) return std::nullopt;
  return static_cast<int64_t>(number);
}

std::mt19937_64& generator() {
  thread_local std::mt19937_64 engine{std::random_device{}() ^
                                      (uint64_t{std::random_device{}()} << 32)};
  return engine;
}

}  // namespace

const OrderedJson* Parameters::find(std::string_view name) const {
  const auto found = object_.find(std::string(name));
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

void Parameters::fail(std::string_view name, std::string_view expected) const {
  const auto found = object_.find(std::string(name));
  throw_error(ErrorKind::kBadRequest, "{}: {}, expected {}", name,
              found == object_.end() ? "missing" : shown(*found), expected);
}

std::optional<int64_t> Parameters::integer(std::string_view name, int64_t low, int64_t high) const {
  const OrderedJson* value = find(name);
  if (!value) return std::nullopt;
  const std::optional<int64_t> number = whole(*value);
  if (number && *number >= low && *number <= high) return number;
  const bool above = value->is_number() && value->get<double>() > static_cast<double>(high);
  if (!above && (high == std::numeric_limits<int64_t>::max() || high == kMaxTokenCount))
    fail(name, fmt::format("an integer of at least {}", low));
  fail(name, fmt::format("an integer from {} to {}", low, high));
}

std::optional<double> Parameters::number(std::string_view name, double low, double high,
                                         bool low_open) const {
  const OrderedJson* value = find(name);
  if (!value) return std::nullopt;
  if (value->is_number()) {
    const auto number = value->get<double>();
    if ((low_open ? number > low : number >= low) && number <= high) return number;
  }
  const bool above = value->is_number() && value->get<double>() > high;
  if (!above && (std::isinf(high) || high > 1e30))
    fail(name, fmt::format("a number {} {}", low_open ? "above" : "of at least", plain(low)));
  fail(name, low_open ? fmt::format("a number above {} and up to {}", plain(low), plain(high))
                      : fmt::format("a number from {} to {}", plain(low), plain(high)));
}

std::optional<bool> Parameters::flag(std::string_view name) const {
  const OrderedJson* value = find(name);
  if (!value) return std::nullopt;
  if (!value->is_boolean()) fail(name, "true or false");
  return value->get<bool>();
}

bool Parameters::truthy(std::string_view name) const {
  const OrderedJson* value = find(name);
  if (!value) return false;
  if (value->is_boolean()) return value->get<bool>();
  if (value->is_number()) return value->get<double>() != 0;
  if (value->is_string()) return !value->get_ref<const std::string&>().empty();
  return !value->empty();
}

std::optional<std::string> Parameters::text(std::string_view name) const {
  const OrderedJson* value = find(name);
  if (!value) return std::nullopt;
  if (!value->is_string()) fail(name, "a string");
  return value->get<std::string>();
}

std::vector<std::string> Parameters::texts(std::string_view name, bool or_text) const {
  const OrderedJson* value = find(name);
  if (!value) return {};
  const std::string expected = fmt::format("{}a list of at most {} strings of 1 to {} bytes",
                                           or_text ? "a string or " : "", kMaxTexts, kMaxTextBytes);
  const auto fits = [](const OrderedJson& item) {
    if (!item.is_string()) return false;
    const auto& text = item.get_ref<const std::string&>();
    return !text.empty() && text.size() <= kMaxTextBytes;
  };
  std::vector<std::string> out;
  if (or_text && value->is_string()) {
    if (!fits(*value)) fail(name, expected);
    out.push_back(value->get<std::string>());
    return out;
  }
  if (!value->is_array() || value->size() > kMaxTexts) fail(name, expected);
  for (const OrderedJson& item : *value) {
    if (!fits(item)) fail(name, expected);
    out.push_back(item.get<std::string>());
  }
  return out;
}

std::optional<uint64_t> Parameters::seed(std::string_view name) const {
  const OrderedJson* value = find(name);
  if (!value) return std::nullopt;
  if (value->is_number_integer()) {
    return value->is_number_unsigned() ? value->get<uint64_t>()
                                       : static_cast<uint64_t>(value->get<int64_t>());
  }
  if (value->is_string()) {
    const auto& text = value->get_ref<const std::string&>();
    int64_t number = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), number);
    if (!text.empty() && result.ec == std::errc() && result.ptr == text.data() + text.size())
      return static_cast<uint64_t>(number);
  }
  fail(name, "an integer, or one as a string");
}

uint64_t random_seed() {
  return generator()() & 0xFFFFFFFFu;
}

WarperSet read_warpers(const Parameters& parameters, SamplingParams& sampling) {
  constexpr double kInfinity = std::numeric_limits<float>::max();
  const auto set = [](float& to, std::optional<double> value) {
    if (value) to = static_cast<float>(*value);
  };
  set(sampling.temperature, parameters.number("temperature", 0, kInfinity, true));
  if (const auto top_k = parameters.integer("top_k", 0, kMaxTokenCount))
    sampling.top_k = static_cast<int32_t>(*top_k);
  set(sampling.top_p, parameters.number("top_p", 0, 1, true));
  set(sampling.typical_p, parameters.number("typical_p", 0, 1, true));
  set(sampling.min_p, parameters.number("min_p", 0, 1));
  set(sampling.repetition_penalty, parameters.number("repetition_penalty", 0, kInfinity, true));
  set(sampling.presence_penalty, parameters.number("presence_penalty", -2, 2));
  set(sampling.frequency_penalty, parameters.number("frequency_penalty", -2, 2));
  return {sampling.temperature != 1.0f || sampling.top_k != 0 || sampling.top_p < 1.0f ||
          sampling.typical_p < 1.0f};
}

SamplingParams default_sampling(const GenerationDefaults& defaults) {
  SamplingParams out;
  out.temperature = defaults.temperature.value_or(out.temperature);
  out.top_k = std::max(defaults.top_k.value_or(out.top_k), 0);
  // A probability of 0 keeps the likeliest token alone, and is no value that samplers take.
  const auto open = [](const std::optional<float>& value) {
    return std::max(value.value_or(1.0f), std::numeric_limits<float>::min());
  };
  out.top_p = open(defaults.top_p);
  out.typical_p = open(defaults.typical_p);
  out.min_p = defaults.min_p.value_or(out.min_p);
  const float penalty = defaults.repetition_penalty.value_or(1.0f);
  out.repetition_penalty = penalty > 0 ? penalty : 1.0f;
  out.no_repeat_ngram_size = defaults.no_repeat_ngram_size.value_or(0);
  return out;
}

std::string completion_id() {
  static constexpr std::string_view kLetters =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::string id = "chatcmpl-";
  for (int i = 0; i < 24; ++i) id += kLetters[generator()() % kLetters.size()];
  return id;
}

}  // namespace tensormill
