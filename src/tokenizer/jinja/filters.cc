// The table of filters, and those of any value and of numbers.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/text.h"

namespace tensormill::jinja {
namespace {

using Args = const Arguments&;

const std::string& need_text(const Value& value) {
  if (const auto* undefined = value.get<Undefined>()) fail_undefined(*undefined);
  if (!value.text()) throw Failure(fmt::format("expected a string, got '{}'", value.type_name()));
  return *value.text();
}

Value filter_default(const Value& value, Args args, Runtime&) {
  const bool falsy = args.flag(1, "boolean", false) && !value.truth();
  if (!value.is_undefined() && !falsy) return value;
  const Value* other = args.find(0, "default_value");
  return other ? *other : Value("");
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

Value filter_int(const Value& value, Args args, Runtime&) {
  const int64_t otherwise = args.integer(0, "default", 0);
  const int64_t base = args.integer(1, "base", 10);
  if (const auto* undefined = value.get<Undefined>()) fail_undefined(*undefined);
  if (const double* d = value.get<double>()) {
    if (std::isinf(*d)) throw Failure("cannot convert float infinity to integer");
    if (std::isnan(*d)) return otherwise;
    if (std::abs(*d) < 9.2e18) return static_cast<int64_t>(*d);
    return Value::Data(BigInteger{std::make_shared<const std::string>(fmt::format("{:.0f}", *d))});
  }
  if (value.get<BigInteger>()) return value;
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
  if (const auto* undefined = value.get<Undefined>()) fail_undefined(*undefined);
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
  if (how != "common" && how != "ceil" && how != "floor")
    throw Failure("method must be common, ceil or floor");
  if (precision < -15 || precision > 15) throw Failure("round: precision must be -15 to 15");
  if (const auto* undefined = value.get<Undefined>(); undefined && how != "common")
    fail_undefined(*undefined);
  if (!value.is_number())
    throw Failure(fmt::format("type {} doesn't define __round__ method", value.type_name()));
  const double number = value.number();
  const double scale = std::pow(10.0, static_cast<double>(precision));
  if (how == "ceil") return std::ceil(number * scale) / scale;
  if (how == "floor") return std::floor(number * scale) / scale;
  if (value.is_integral()) {
    if (precision >= 0) return value.integer();
    const auto unit = static_cast<int64_t>(std::pow(10.0, static_cast<double>(-precision)));
    return static_cast<int64_t>(std::nearbyint(number * scale)) * unit;
  }
  if (precision >= 0)  // as printing rounds: exactly, ties to even
    return std::stod(fmt::format("{:.{}f}", number, precision));
  return std::nearbyint(number * scale) / scale;
}

Value filter_abs(const Value& value, Args, Runtime&) {
  if (const double* d = value.get<double>()) return std::abs(*d);
  const int64_t number = value.integer();
  if (number == INT64_MIN) throw Failure("integer too large");
  return number < 0 ? -number : number;
}

// As the filter of that name: attributes only, not items.
Value filter_attr(const Value& value, Args args, Runtime&) {
  const std::string name = args.text(0, "name", "");
  if (value.as_dict() && !find_method(value, name)) return Value::undefined_attribute(value, name);
  return attribute(value, name);
}

constexpr FilterRow kFilters[] = {
    {"abs", filter_abs, ""},
    {"attr", filter_attr, "name"},
    {"d", filter_default, "default_value boolean"},
    {"default", filter_default, "default_value boolean"},
    {"float", filter_float, "default"},
    {"int", filter_int, "default base"},
    {"round", filter_round, "precision method"},
    {"tojson", filter_tojson, "ensure_ascii indent separators sort_keys"},
};

const FilterRow* row_of(std::span<const FilterRow> rows, std::string_view name) {
  const auto row =
      std::find_if(rows.begin(), rows.end(), [name](const FilterRow& r) { return r.name == name; });
  return row == rows.end() ? nullptr : &*row;
}

// Failure where an argument is none that the filter takes, or comes twice.
void check_arguments(std::string_view what, std::string_view parameters, Args args) {
  if (parameters == "* **") return;
  size_t count = parameters.empty() ? 0 : 1;
  for (const char c : parameters) count += c == ' ';
  if (args.positional.size() > count) {
    throw Failure(fmt::format("{}() takes at most {} arguments ({} given)", what, count,
                              args.positional.size()));
  }
  std::string_view rest = parameters;
  for (size_t i = 0; i < args.positional.size(); ++i) {
    const size_t blank = rest.find(' ');
    const std::string_view name = rest.substr(0, blank);
    if (std::any_of(args.named.begin(), args.named.end(),
                    [name](const auto& n) { return n.first == name; }))
      throw Failure(fmt::format("{}() got multiple values for argument '{}'", what, name));
    rest = blank == std::string_view::npos ? std::string_view() : rest.substr(blank + 1);
  }
  for (const auto& [name, value] : args.named) {
    if (!has_word(parameters, name))
      throw Failure(fmt::format("{}() got an unexpected keyword argument '{}'", what, name));
  }
}

}  // namespace

const FilterRow* find_filter(std::string_view name) {
  for (const auto rows : {std::span<const FilterRow>(kFilters), text_filters(), sequence_filters(),
                          markup_filters(), wrap_filters(), print_filters()}) {
    if (const FilterRow* row = row_of(rows, name)) return row;
  }
  return nullptr;
}

Value apply_filter(const FilterRow& row, const Value& value, Args arguments, Runtime& runtime) {
  check_arguments(row.name, row.parameters, arguments);
  return row.apply(value, arguments, runtime);
}

bool has_word(std::string_view words, std::string_view word) {
  while (true) {
    const size_t blank = words.find(' ');
    if (words.substr(0, blank) == word) return !word.empty();
    if (blank == std::string_view::npos) return false;
    words = words.substr(blank + 1);
  }
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
