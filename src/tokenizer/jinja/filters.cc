#include "tokenizer/jinja/filters.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "tokenizer/jinja/text.h"

namespace tensormill::jinja {
namespace {

using Args = const Arguments&;

const std::string& need_text(const Value& value) {
  if (const auto* undefined = value.get<Undefined>()) throw Failure(undefined->reason);
  if (!value.text()) throw Failure(fmt::format("expected a string, got '{}'", value.type_name()));
  return *value.text();
}

Value filter_default(const Value& value, Args args, Runtime&) {
  const bool falsy = args.flag(1, "boolean", false) && !value.truth();
  if (!value.is_undefined() && !falsy) return value;
  const Value* other = args.find(0, "default_value");
  return other ? *other : Value("");
}

Value filter_trim(const Value& value, Args args, Runtime&) {
  const std::string text = to_text(value);
  const Value* set = args.find(0, "chars");
  if (set && set->text()) return strip_set(text, *set->text(), true, true);
  return strip(text, true, true);
}

Value filter_length(const Value& value, Args, Runtime&) {
  return length(value);
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
  return to_text(value);
}
Value filter_list(const Value& value, Args, Runtime&) {
  return Value::list(iterate(value));
}

Value filter_join(const Value& value, Args args, Runtime&) {
  std::vector<Value> items = iterate(value);
  if (const Value* path = args.find(1, "attribute")) {
    for (Value& each : items) each = attribute_path(each, *path);
  }
  return join_texts(items, args.text(0, "d", ""));
}

Value filter_tojson(const Value& value, Args args, Runtime&) {
  JsonStyle style;
  style.ascii = args.flag(0, "ensure_ascii", false);
  style.sort_keys = args.flag(3, "sort_keys", false);
  if (const Value* indent = args.find(1, "indent"); indent && !indent->is_none()) {
    style.multi_line = true;
    style.item_separator.resize(1);  // the comma
    if (indent->text()) {
      style.indent = *indent->text();
    } else {
      style.indent =
          std::string(static_cast<size_t>(std::clamp<int64_t>(indent->integer(), 0, 16)), ' ');
    }
    if (style.indent.size() > 16) throw Failure("tojson: indent of more than 16 blanks");
  }
  if (const Value* both = args.find(2, "separators"); both && !both->is_none()) {
    const std::vector<Value> pair = iterate(*both);
    if (pair.size() != 2) throw Failure("tojson: separators must be two strings");
    style.item_separator = need_text(pair[0]);
    style.key_separator = need_text(pair[1]);
    if (style.item_separator.size() + style.key_separator.size() > 32)
      throw Failure("tojson: separators too long");
  }
  return to_json(value, style);
}

Value filter_items(const Value& value, Args, Runtime&) {
  if (value.is_undefined()) return Value::list({});
  const Dict* dict = value.as_dict();
  if (!dict) throw Failure("Can only get item pairs from a mapping.");
  std::vector<Value> items;
  for (const auto& [key, each] : dict->items) items.push_back(Value::list({key, each}, true));
  return Value::list(std::move(items));
}

Value filter_first(const Value& value, Args, Runtime&) {
  std::vector<Value> items = iterate(value);
  return items.empty() ? Value::undefined("No first item, sequence was empty.") : items.front();
}

Value filter_last(const Value& value, Args, Runtime&) {
  std::vector<Value> items = iterate(value);
  return items.empty() ? Value::undefined("No last item, sequence was empty.") : items.back();
}

Value filter_replace(const Value& value, Args args, Runtime&) {
  const Method method{to_text(value), "replace"};
  struct NoRuntime : Runtime {
    Value call(const Value&, Arguments) override { return {}; }
    void charge(size_t) override {}
  } none;
  Arguments given;
  given.positional = {to_text(args.require(0, "old")), to_text(args.require(1, "new"))};
  if (const Value* count = args.find(2, "count"); count && !count->is_none())
    given.positional.push_back(*count);
  return call_method(method, given, none);
}

Value filter_int(const Value& value, Args args, Runtime&) {
  const int64_t otherwise = args.integer(0, "default", 0);
  const int64_t base = args.integer(1, "base", 10);
  if (const double* d = value.get<double>()) {
    if (!(std::abs(*d) < 9.2e18)) return otherwise;
    return static_cast<int64_t>(*d);
  }
  if (value.is_integral()) return value.integer();
  if (!value.text() || base < 2 || base > 36) return otherwise;
  std::string text(strip(*value.text(), true, true));
  text.erase(std::remove(text.begin(), text.end(), '_'), text.end());
  const char* begin = text.data() + (!text.empty() && text[0] == '+');
  const char* end = text.data() + text.size();
  int64_t number = 0;
  const auto whole = std::from_chars(begin, end, number, static_cast<int>(base));
  if (whole.ec == std::errc() && whole.ptr == end) return number;
  double real = 0;
  const auto result = std::from_chars(begin, end, real);
  if (result.ec == std::errc() && result.ptr == end && std::abs(real) < 9.2e18)
    return static_cast<int64_t>(real);
  return otherwise;
}

Value filter_float(const Value& value, Args args, Runtime&) {
  if (value.is_number()) return value.number();
  double real = 0;
  if (value.text()) {
    const std::string text(strip(*value.text(), true, true));
    const char* begin = text.data() + (!text.empty() && text[0] == '+');
    const auto result = std::from_chars(begin, text.data() + text.size(), real);
    if (result.ec == std::errc() && result.ptr == text.data() + text.size()) return real;
  }
  const Value* otherwise = args.find(0, "default");
  return otherwise ? *otherwise : Value(0.0);
}

Value filter_round(const Value& value, Args args, Runtime&) {
  const int64_t precision = args.integer(0, "precision", 0);
  const std::string how = args.text(1, "method", "common");
  if (precision < -15 || precision > 15) throw Failure("round: precision must be -15 to 15");
  const double number = value.number();
  const double scale = std::pow(10.0, static_cast<double>(precision));
  if (how == "ceil") return std::ceil(number * scale) / scale;
  if (how == "floor") return std::floor(number * scale) / scale;
  if (how != "common") throw Failure("method must be common, ceil or floor");
  if (precision >= 0) {  // as printing rounds: exactly, ties to even
    return std::stod(fmt::format("{:.{}f}", number, precision));
  }
  return std::nearbyint(number * scale) / scale;
}

Value filter_abs(const Value& value, Args, Runtime&) {
  if (const double* d = value.get<double>()) return std::abs(*d);
  const int64_t number = value.integer();
  if (number == INT64_MIN) throw Failure("integer too large");
  return number < 0 ? -number : number;
}

Value filter_escape(const Value& value, Args, Runtime&) {
  std::string out;
  for (const char c : to_text(value)) {
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

Value filter_safe(const Value& value, Args, Runtime&) {
  return to_text(value);
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
  std::string text = to_text(value);
  text += '\n';
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

Value filter_reverse(const Value& value, Args, Runtime&) {
  std::vector<Value> items = iterate(value);
  std::reverse(items.begin(), items.end());
  return value.text() ? Value(join_texts(items, "")) : Value::list(std::move(items));
}

// What `sort` and `unique` compare: small letters unless case_sensitive.
Value sort_key(const Value& value, const Value* path, bool case_sensitive) {
  Value key = path && !path->is_none() ? attribute_path(value, *path) : value;
  return key.text() && !case_sensitive ? Value(lower(*key.text())) : key;
}

std::vector<Value> sorted(std::vector<Value> items, const Value* path, bool case_sensitive,
                          bool reverse) {
  std::vector<std::pair<Value, Value>> keyed;
  for (Value& each : items)
    keyed.emplace_back(sort_key(each, path, case_sensitive), std::move(each));
  std::stable_sort(keyed.begin(), keyed.end(), [reverse](const auto& a, const auto& b) {
    return reverse ? compare(b.first, a.first, "<") < 0 : compare(a.first, b.first, "<") < 0;
  });
  for (size_t i = 0; i < items.size(); ++i) items[i] = std::move(keyed[i].second);
  return items;
}

Value filter_sort(const Value& value, Args args, Runtime&) {
  return Value::list(sorted(iterate(value), args.find(2, "attribute"),
                            args.flag(1, "case_sensitive", false), args.flag(0, "reverse", false)));
}

Value filter_dictsort(const Value& value, Args args, Runtime& runtime) {
  const std::string by = args.text(1, "by", "key");
  if (by != "key" && by != "value") throw Failure("dictsort: by must be 'key' or 'value'");
  const Value items = filter_items(value, args, runtime);
  const Value path(int64_t{by == "value"});
  return Value::list(sorted(iterate(items), &path, args.flag(0, "case_sensitive", false),
                            args.flag(2, "reverse", false)));
}

Value filter_unique(const Value& value, Args args, Runtime& runtime) {
  const bool case_sensitive = args.flag(0, "case_sensitive", false);
  std::vector<Value> seen, kept;
  for (const Value& each : iterate(value)) {
    Value key = sort_key(each, args.find(1, "attribute"), case_sensitive);
    runtime.charge(seen.size() + key.weight() / 8);
    const auto same = [&key](const Value& other) { return equal(key, other); };
    if (std::any_of(seen.begin(), seen.end(), same)) continue;
    seen.push_back(std::move(key));
    kept.push_back(each);
  }
  return Value::list(std::move(kept));
}

Value extreme(const Value& value, Args args, int sign) {
  const std::vector<Value> items = iterate(value);
  if (items.empty()) return Value::undefined("No aggregated item, sequence was empty.");
  const bool case_sensitive = args.flag(0, "case_sensitive", false);
  const Value* path = args.find(1, "attribute");
  const Value* best = &items[0];
  for (const Value& each : items) {
    const int order =
        compare(sort_key(each, path, case_sensitive), sort_key(*best, path, case_sensitive), "<");
    if (order * sign > 0) best = &each;
  }
  return *best;
}
Value filter_min(const Value& value, Args args, Runtime&) {
  return extreme(value, args, -1);
}
Value filter_max(const Value& value, Args args, Runtime&) {
  return extreme(value, args, 1);
}

Value filter_sum(const Value& value, Args args, Runtime&) {
  const Value* path = args.find(0, "attribute");
  int64_t whole = 0;
  double real = 0;
  bool is_real = false;
  for (const Value& each : iterate(value)) {
    const Value number = path && !path->is_none() ? attribute_path(each, *path) : each;
    if (number.is_integral() && !is_real) {
      if (__builtin_add_overflow(whole, number.integer(), &whole))
        throw Failure("integer too large");
      continue;
    }
    if (!is_real) real = static_cast<double>(whole);
    is_real = true;
    real += number.number();
  }
  return is_real ? Value(real) : Value(whole);
}

Value filter_map(const Value& value, Args args, Runtime& runtime) {
  std::vector<Value> items = iterate(value);
  const Value* path = args.positional.empty() ? args.find(9, "attribute") : nullptr;
  if (path) {
    const Value* otherwise = args.find(9, "default");
    for (Value& each : items) {
      each = attribute_path(each, *path);
      if (otherwise && each.is_undefined()) each = *otherwise;
    }
    return Value::list(std::move(items));
  }
  const std::string name = args.text(0, "filter", "");
  const Filter filter = find_filter(name);
  if (!filter) throw Failure(fmt::format("No filter named '{}'.", name));
  Arguments rest{{args.positional.begin() + 1, args.positional.end()}, args.named};
  for (Value& each : items) {
    runtime.charge(cost(each));
    each = filter(each, rest, runtime);
    runtime.charge(cost(each));
  }
  return Value::list(std::move(items));
}

Value select(const Value& value, Args args, Runtime& runtime, bool keep, bool by_attribute) {
  const size_t at = by_attribute ? 1 : 0;  // where the test's name stands
  const Value* path = by_attribute ? &args.require(0, "attribute") : nullptr;
  Test test = nullptr;
  Arguments rest;
  if (args.positional.size() > at) {
    const std::string name = to_text(args.positional[at]);
    test = find_test(name);
    if (!test) throw Failure(fmt::format("No test named '{}'.", name));
    rest.positional.assign(args.positional.begin() + static_cast<std::ptrdiff_t>(at) + 1,
                           args.positional.end());
  }
  std::vector<Value> kept;
  for (const Value& each : iterate(value)) {
    const Value tested = path ? attribute_path(each, *path) : each;
    runtime.charge(cost(tested));
    if ((test ? test(tested, rest) : tested.truth()) == keep) kept.push_back(each);
  }
  return Value::list(std::move(kept));
}
Value filter_select(const Value& v, Args a, Runtime& r) {
  return select(v, a, r, true, false);
}
Value filter_reject(const Value& v, Args a, Runtime& r) {
  return select(v, a, r, false, false);
}
Value filter_selectattr(const Value& v, Args a, Runtime& r) {
  return select(v, a, r, true, true);
}
Value filter_rejectattr(const Value& v, Args a, Runtime& r) {
  return select(v, a, r, false, true);
}

Value filter_attr(const Value& value, Args args, Runtime&) {
  return attribute(value, args.text(0, "name", ""));
}

Value filter_format(const Value& value, Args args, Runtime&) {
  return percent_format(to_text(value), Value::list(args.positional, true));
}

Value filter_wordcount(const Value& value, Args, Runtime&) {
  int64_t words = 0;
  bool inside = false;
  const std::string text = to_text(value);
  for (size_t i = 0; i < text.size();) {
    const bool blank = is_space(next_code_point(text, i));
    words += !blank && !inside;
    inside = !blank;
  }
  return words;
}

struct FilterRow {
  std::string_view name;
  Filter filter;
};
constexpr FilterRow kFilters[] = {
    {"abs", filter_abs},
    {"attr", filter_attr},
    {"capitalize", filter_capitalize},
    {"count", filter_length},
    {"d", filter_default},
    {"default", filter_default},
    {"dictsort", filter_dictsort},
    {"e", filter_escape},
    {"escape", filter_escape},
    {"first", filter_first},
    {"float", filter_float},
    {"forceescape", filter_escape},
    {"format", filter_format},
    {"indent", filter_indent},
    {"int", filter_int},
    {"items", filter_items},
    {"join", filter_join},
    {"last", filter_last},
    {"length", filter_length},
    {"list", filter_list},
    {"lower", filter_lower},
    {"map", filter_map},
    {"max", filter_max},
    {"min", filter_min},
    {"reject", filter_reject},
    {"rejectattr", filter_rejectattr},
    {"replace", filter_replace},
    {"reverse", filter_reverse},
    {"round", filter_round},
    {"safe", filter_safe},
    {"select", filter_select},
    {"selectattr", filter_selectattr},
    {"sort", filter_sort},
    {"string", filter_string},
    {"sum", filter_sum},
    {"title", filter_title},
    {"tojson", filter_tojson},
    {"trim", filter_trim},
    {"unique", filter_unique},
    {"upper", filter_upper},
    {"wordcount", filter_wordcount},
};

}  // namespace

Filter find_filter(std::string_view name) {
  const auto* row = std::find_if(std::begin(kFilters), std::end(kFilters),
                                 [name](const FilterRow& r) { return r.name == name; });
  return row == std::end(kFilters) ? nullptr : row->filter;
}

const Value* Arguments::find(size_t index, std::string_view name) const {
  if (index < positional.size()) return &positional[index];
  for (const auto& [key, value] : named) {
    if (key == name) return &value;
  }
  return nullptr;
}

const Value& Arguments::require(size_t index, std::string_view name) const {
  const Value* value = find(index, name);
  if (!value) throw Failure(fmt::format("missing a required argument: '{}'", name));
  return *value;
}

bool Arguments::flag(size_t index, std::string_view name, bool otherwise) const {
  const Value* value = find(index, name);
  return value ? value->truth() : otherwise;
}

int64_t Arguments::integer(size_t index, std::string_view name, int64_t otherwise) const {
  const Value* value = find(index, name);
  return value && !value->is_none() ? value->integer() : otherwise;
}

std::string Arguments::text(size_t index, std::string_view name, std::string_view otherwise) const {
  const Value* value = find(index, name);
  return value ? to_text(*value) : std::string(otherwise);
}

std::string join_texts(const std::vector<Value>& items, std::string_view separator) {
  std::string out;
  bool first = true;
  for (const Value& each : items) {
    if (!first) out += separator;
    first = false;
    out += to_text(each);
    check_size(out.size());
  }
  return out;
}

size_t cost(const Value& value) {
  if (const std::string* text = value.text()) return 1 + text->size() / 8;
  if (const List* list = value.as_list()) return 1 + list->items.size();
  if (const Dict* dict = value.as_dict()) return 1 + dict->items.size();
  return 1;
}

void check_size(size_t bytes) {
  if (bytes > kMaxWeight) throw Failure(fmt::format("text of more than {} bytes", kMaxWeight));
}

}  // namespace tensormill::jinja
