// Filters for HTML.
#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/html_entities.h"
#include "tokenizer/jinja/links.h"
#include "tokenizer/jinja/text.h"

namespace tensormill::jinja {
namespace {

using Args = const Arguments&;

Value filter_escape(const Value& value, Args, Runtime&) {
  return Value::markup(escaped(value));
}
Value filter_forceescape(const Value& value, Args, Runtime&) {
  return Value::markup(escape_html(to_text(value)));
}
Value filter_safe(const Value& value, Args, Runtime&) {
  return Value::markup(to_text(value));
}

std::string without_tags(const std::string& text) {
  std::string out;
  size_t at = 0;
  for (size_t begin; (begin = text.find('<', at)) != std::string::npos;) {
    const bool comment = text.compare(begin, 4, "<!--") == 0;
    const size_t end = comment ? text.find("-->", begin + 4) : text.find('>', begin);
    if (end == std::string::npos) break;
    out.append(text, at, begin - at);
    at = end + (comment ? 3 : 1);
  }
  return out.append(text, at);
}

Value filter_striptags(const Value& value, Args, Runtime&) {
  const std::string bare = without_tags(to_text(value));
  std::string out;
  bool blank = false;
  for (size_t i = 0; i < bare.size();) {
    const size_t begin = i;
    if (is_space(next_code_point(bare, i))) {
      blank = true;
      continue;
    }
    if (blank && !out.empty()) out += ' ';
    blank = false;
    out.append(bare, begin, i - begin);
  }
  return unescape_html(out);
}

// The words of `rel` and those that are always there, in order.
std::string link_relations(const Value* given, bool nofollow) {
  std::vector<std::string> words{"noopener"};
  if (nofollow) words.emplace_back("nofollow");
  if (given && given->truth()) {
    const std::string text = to_text(*given);
    for (size_t i = 0, begin = 0; i <= text.size(); ++i) {
      if (i < text.size() && !std::isspace(static_cast<unsigned char>(text[i]))) continue;
      if (i > begin) words.push_back(text.substr(begin, i - begin));
      begin = i + 1;
    }
  }
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

// A scheme that links may have besides http: "tel:", "ftp://".
void check_scheme(const Value& value) {
  const std::string scheme = to_text(value);
  const size_t colon = scheme.find(':');
  size_t letters = 0;
  while (letters < scheme.size() &&
         (std::isalnum(static_cast<unsigned char>(scheme[letters])) ||
          std::string_view("_.+-").find(scheme[letters]) != std::string_view::npos))
    ++letters;
  const std::string_view rest =
      colon == std::string::npos ? "?" : std::string_view(scheme).substr(colon + 1);
  if (letters < 2 || letters != colon || rest.size() > 2 ||
      rest.find_first_not_of('/') != std::string_view::npos)
    throw Failure(fmt::format("{} is not a valid URI scheme prefix.", to_repr(value)));
}

Value filter_urlize(const Value& value, Args args, Runtime& runtime) {
  LinkStyle style;
  if (const Value* limit = args.find(0, "trim_url_limit"); limit && !limit->is_none())
    style.limit = limit->integer();
  style.attributes = fmt::format(
      " rel=\"{}\"",
      escape_html(link_relations(args.find(3, "rel"), args.flag(1, "nofollow", false))));
  if (const Value* target = args.find(2, "target"); target && target->truth())
    style.attributes += fmt::format(" target=\"{}\"", escaped(*target));
  if (const Value* schemes = args.find(4, "extra_schemes"); schemes && !schemes->is_none()) {
    for (const Value& each : iterate(*schemes)) {
      check_scheme(each);
      style.schemes.push_back(to_text(each));
    }
  }
  const std::string text = escaped(value);
  runtime.charge(text.size() * (1 + style.schemes.size()) / 4);
  return with_links(text, style);
}

Value filter_xmlattr(const Value& value, Args args, Runtime&) {
  const Dict* dict = value.as_dict();
  if (const auto* undefined = value.get<Undefined>()) fail_undefined(*undefined);
  if (!dict) throw Failure(fmt::format("'{}' object has no attribute 'items'", value.type_name()));
  std::string out;
  for (const auto& [key, each] : dict->items) {
    if (each.is_none() || each.is_undefined()) continue;
    const std::string name = to_text(key);
    if (name.find_first_of(" \t\n\r\f\v/>=") != std::string::npos)
      throw Failure(fmt::format("Invalid character in attribute name: {}", to_repr(key)));
    if (!out.empty()) out += ' ';
    out += fmt::format("{}=\"{}\"", escaped(key), escaped(each));
  }
  return args.flag(0, "autospace", true) && !out.empty() ? fmt::format(" {}", out) : out;
}

constexpr FilterRow kFilters[] = {
    {"e", filter_escape, ""},
    {"escape", filter_escape, ""},
    {"forceescape", filter_forceescape, ""},
    {"safe", filter_safe, ""},
    {"striptags", filter_striptags, ""},
    {"urlize", filter_urlize, "trim_url_limit nofollow target rel extra_schemes"},
    {"xmlattr", filter_xmlattr, "autospace"},
};

}  // namespace

std::span<const FilterRow> markup_filters() {
  return kFilters;
}

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&#34;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string escaped(const Value& value) {
  return value.is_markup() ? *value.text() : escape_html(to_text(value));
}

}  // namespace tensormill::jinja
