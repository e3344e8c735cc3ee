#include "tokenizer/raw_json.h"

#include <array>

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"

namespace tensormill {
namespace {

struct Range {
  std::string_view key;
  size_t begin = 0, end = 0;
};

// Calls member(key) for each member of the object at hand, which must read its value.
template <class Member>
bool each_member(JsonScanner& scanner, Member&& member) {
  if (!scanner.take('{')) return false;
  if (scanner.take('}')) return true;
  do {
    std::string_view key;
    if (!scanner.string(key) || !scanner.take(':') || !member(key)) return false;
  } while (scanner.take(','));
  return scanner.take('}');
}

// Where the model's large members stand.
bool find_large(std::string_view text, std::array<Range, 2>& large) {
  JsonScanner scanner(text);
  bool model = false;
  const auto in_model = [&](std::string_view key) {
    for (Range& range : large) {
      if (key != range.key) continue;
      if (range.end > 0) return false;  // it is there twice
      if (!scanner.peek('{') && !scanner.peek('[')) break;
      range.begin = scanner.position();
      if (!scanner.skip_value()) return false;
      range.end = scanner.position();
      return true;
    }
    return scanner.skip_value();
  };
  const bool whole = each_member(scanner, [&](std::string_view key) {
    if (key != "model" || !scanner.peek('{')) return scanner.skip_value();
    if (model) return false;
    model = true;
    return each_member(scanner, in_model);
  });
  return whole && scanner.at_end() && model;
}

}  // namespace

std::optional<Json> parse_with_raw_model(std::string_view text, std::string_view origin) {
  std::array<Range, 2> large = {Range{"vocab"}, Range{"merges"}};
  if (!find_large(text, large) || find_invalid_utf8(text) != std::string_view::npos) {
    return std::nullopt;
  }
  if (large[1].begin < large[0].begin) std::swap(large[0], large[1]);
  std::string rest;
  size_t done = 0;
  for (const Range& range : large) {
    if (range.end == 0) continue;
    rest.append(text.substr(done, range.begin - done)).append("null");
    done = range.end;
  }
  rest.append(text.substr(done));
  Json json;
  try {
    json = parse_json(rest, origin);
  } catch (const Error&) {
    return std::nullopt;  // its place in the file would be wrong
  }
  for (const Range& range : large) {
    if (range.end == 0) continue;
    const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
    json["model"][std::string(range.key)] =
        Json::binary(Json::binary_t::container_type(bytes + range.begin, bytes + range.end));
  }
  return json;
}

std::optional<std::string_view> raw_text(const Json& value) {
  if (!value.is_binary()) return std::nullopt;
  const auto& bytes = value.get_binary();
  return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

bool holds_object(const Json& value) {
  const auto raw = raw_text(value);
  return raw ? raw->starts_with('{') : value.is_object();
}

bool holds_array(const Json& value) {
  const auto raw = raw_text(value);
  return raw ? raw->starts_with('[') : value.is_array();
}

}  // namespace tensormill
