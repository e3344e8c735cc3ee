// Filters of texts.
#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/text.h"

namespace tensormill::jinja {
namespace {

using Args = const Arguments&;

Value filter_trim(const Value& value, Args args, Runtime&) {
  if (const auto* whole = value.get<Value::Text>(); whole && !args.find(0, "chars")) {
    const std::string_view stripped = strip(**whole, true, true);
    return stripped.size() == (*whole)->size() ? value : Value(stripped);
  }
  const std::string text = to_text(value);
  const Value* set = args.find(0, "chars");
  if (set && !set->text() && !set->is_none()) throw Failure("strip arg must be None or str");
  if (set && set->text()) return strip_set(text, *set->text(), true, true);
  return strip(text, true, true);
}

Value filter_upper(const Value& value, Args, Runtime&) {
  return upper(to_text(value));
}
Value filter_lower(const Value& value, Args, Runtime&) {
  return lower(to_text(value));
}
Value filter_title(const Value& value, Args, Runtime&) {
  return title_filter(to_text(value));
}
Value filter_capitalize(const Value& value, Args, Runtime&) {
  return capitalize(to_text(value));
}
Value filter_string(const Value& value, Args, Runtime&) {
  return value.is_markup() ? value : Value(to_text(value));
}
Value filter_replace(const Value& value, Args args, Runtime&) {
  struct NoRuntime : Runtime {
    Value call(const Value&, Arguments) override { return {}; }
    void charge(size_t) override {}
  } none;
  Arguments given;
  given.positional = {to_text(args.require(0, "old")), to_text(args.require(1, "new"))};
  if (const Value* count = args.find(2, "count"); count && !count->is_none())
    given.positional.push_back(*count);
  return call_method(*find_text_method("replace"), Value(to_text(value)), given, none);
}

Value filter_indent(const Value& value, Args args, Runtime&) {
  const Value* width = args.find(0, "width");
  std::string pad;
  if (width && width->text()) {
    pad = *width->text();
  } else {
    const int64_t blanks = width ? width->integer() : 4;
    pad.resize(static_cast<size_t>(std::clamp<int64_t>(blanks, 0, 1000)), ' ');
  }
  const bool first = args.flag(1, "first", false), blank = args.flag(2, "blank", false);
  if (!value.text()) binary(Operator::kAdd, value, Value("\n"));  // fails as it fails there
  const std::string text = *value.text() + '\n';
  const std::vector<std::string> lines = split_lines(text, false);
  check_size(text.size() + lines.size() * pad.size());
  std::string out;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += '\n';
    if (i == 0 ? first : blank || !lines[i].empty()) out += pad;
    out += lines[i];
  }
  return out;
}

Value filter_format(const Value& value, Args args, Runtime&) {
  if (!args.positional.empty() && !args.named.empty())
    throw Failure("can't handle positional and keyword arguments at the same time");
  if (args.named.empty()) return percent_format(to_text(value), Value::tuple(args.positional));
  Dict dict;
  for (const auto& [name, each] : args.named) dict.set(name, each);
  return percent_format(to_text(value), Value::dict(std::move(dict)));
}

// Runs of letters, digits and underscores.
Value filter_wordcount(const Value& value, Args, Runtime& runtime) {
  runtime.charge(value.weight() / 8);
  int64_t words = 0;
  bool inside = false;
  const std::string text = to_text(value);
  for (size_t i = 0; i < text.size();) {
    const size_t begin = i;
    next_code_point(text, i);
    const std::string_view one = std::string_view(text).substr(begin, i - begin);
    const bool part = one == "_" || is_alnum(one);
    words += part && !inside;
    inside = part;
  }
  return words;
}

Value filter_center(const Value& value, Args args, Runtime& runtime) {
  Arguments given;
  given.positional = {Value(args.integer(0, "width", 80))};
  return call_method(*find_text_method("center"), Value(to_text(value)), given, runtime);
}

Value filter_truncate(const Value& value, Args args, Runtime&) {
  const int64_t most = args.integer(0, "length", 255), leeway = args.integer(3, "leeway", 5);
  const std::string end = args.text(2, "end", "...");
  const auto end_length = static_cast<int64_t>(count_code_points(end));
  if (most < end_length)
    throw Failure(fmt::format("expected length >= {}, got {}", end_length, most));
  if (leeway < 0) throw Failure(fmt::format("expected leeway >= 0, got {}", leeway));
  if (length(value) <= most + leeway) return value;
  if (!value.text())
    throw Failure(fmt::format("truncate: a {}, expected a string", value.type_name()));
  const std::vector<size_t> offsets = code_point_offsets(*value.text());
  std::string head = value.text()->substr(0, offsets[static_cast<size_t>(most - end_length)]);
  const size_t blank = head.rfind(' ');
  if (!args.flag(1, "killwords", false) && blank != std::string::npos) head.resize(blank);
  return head + end;
}

std::string quote_url(const Value& value, bool for_query) {
  const std::string_view safe = for_query ? "_.-~" : "_.-~/";
  std::string out;
  for (const char c : to_text(value)) {
    if (std::isalnum(static_cast<unsigned char>(c)) || safe.find(c) != std::string_view::npos) {
      out += c;
    } else if (for_query && c == ' ') {
      out += '+';
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

Value filter_urlencode(const Value& value, Args, Runtime& runtime) {
  if (value.text() || !is_iterable(value)) return quote_url(value, false);
  std::vector<Value> pairs;
  if (value.as_dict()) {
    pairs = iterate(call_method(*find_method(value, "items"), value, {}, runtime));
  } else {
    pairs = iterate(value);
  }
  std::string out;
  for (const Value& pair : pairs) {
    const std::vector<Value> both = iterate(pair);
    if (both.size() != 2) throw Failure("urlencode: expected pairs of key and value");
    if (!out.empty()) out += '&';
    out += quote_url(both[0], true) + "=" + quote_url(both[1], true);
  }
  return out;
}

Value filter_filesizeformat(const Value& value, Args args, Runtime& runtime) {
  const bool binary_units = args.flag(0, "binary", false);
  Arguments unlike;
  unlike.positional = {Value(None{})};
  const Value number = apply_filter(*find_filter("float"), value, unlike, runtime);
  if (number.is_none()) throw Failure(fmt::format("could not convert {} to float", to_repr(value)));
  const double bytes = number.number(), base = binary_units ? 1024 : 1000;
  if (bytes == 1) return "1 Byte";
  if (bytes < base) return fmt::format("{} Bytes", static_cast<int64_t>(bytes));
  double unit = base;
  constexpr std::string_view kPrefixes = "kMGTPEZY";
  size_t i = 0;
  while (i + 1 < kPrefixes.size() && bytes >= unit * base) {
    unit *= base;
    ++i;
  }
  const char prefix = binary_units && i == 0 ? 'K' : kPrefixes[i];
  return fmt::format("{:.1f} {}{}", bytes / unit, prefix, binary_units ? "iB" : "B");
}

constexpr FilterRow kFilters[] = {
    {"capitalize", filter_capitalize, ""},
    {"center", filter_center, "width"},
    {"filesizeformat", filter_filesizeformat, "binary"},
    {"format", filter_format, "* **"},
    {"indent", filter_indent, "width first blank"},
    {"lower", filter_lower, ""},
    {"replace", filter_replace, "old new count"},
    {"string", filter_string, ""},
    {"title", filter_title, ""},
    {"trim", filter_trim, "chars"},
    {"truncate", filter_truncate, "length killwords end leeway"},
    {"upper", filter_upper, ""},
    {"urlencode", filter_urlencode, ""},
    {"wordcount", filter_wordcount, ""},
};

}  // namespace

std::span<const FilterRow> text_filters() {
  return kFilters;
}

}  // namespace tensormill::jinja
