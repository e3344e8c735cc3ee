// The methods of strings.
#include <algorithm>

#include "base/error.h"
#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/text.h"

namespace tensormill::jinja {
namespace {

using Args = const Arguments&;

const std::string& text_argument(Args args, size_t index, std::string_view name) {
  const Value& value = args.require(index, name);
  if (const auto* undefined = value.get<Undefined>()) fail_undefined(*undefined);
  if (!value.text()) throw Failure(fmt::format("must be str, not {}", value.type_name()));
  return *value.text();
}

std::vector<Value> values_of(std::vector<std::string> texts) {
  std::vector<Value> out;
  out.reserve(texts.size());
  for (std::string& text : texts) out.emplace_back(std::move(text));
  return out;
}

Value strip_text(const std::string& text, Args args, bool left, bool right) {
  const Value* set = args.find(0, "chars");
  if (!set || set->is_none()) return strip(text, left, right);
  return strip_set(text, text_argument(args, 0, "chars"), left, right);
}

size_t first_blank(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const size_t begin = i;
    if (is_space(next_code_point(text, i))) return begin;
  }
  return text.size();
}

// Where the word at the end of the text begins.
size_t last_word(std::string_view text) {
  for (size_t end = text.size(); end > 0;) {
    size_t begin = end - 1;
    while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
    size_t at = begin;
    if (is_space(next_code_point(text, at))) return end;
    end = begin;
  }
  return 0;
}

Value split_blanks(std::string_view text, int64_t limit, bool from_right) {
  std::vector<Value> out;
  for (text = strip(text, !from_right, from_right); !text.empty();
       text = strip(text, !from_right, from_right)) {
    if (limit >= 0 && static_cast<int64_t>(out.size()) == limit) {
      out.emplace_back(text);
      break;
    }
    const size_t cut = from_right ? last_word(text) : first_blank(text);
    out.emplace_back(from_right ? text.substr(cut) : text.substr(0, cut));
    text = from_right ? text.substr(0, cut) : text.substr(cut);
  }
  if (from_right) std::reverse(out.begin(), out.end());
  return Value::list(std::move(out));
}

Value split_text(std::string_view text, Args args, bool from_right) {
  const int64_t limit = args.integer(1, "maxsplit", -1);
  const Value* by = args.find(0, "sep");
  if (!by || by->is_none()) return split_blanks(text, limit, from_right);
  const std::string& separator = text_argument(args, 0, "sep");
  if (separator.empty()) throw Failure("empty separator");
  std::vector<Value> out;
  while (limit < 0 || static_cast<int64_t>(out.size()) < limit) {
    const size_t found = from_right ? text.rfind(separator) : find_in(text, separator);
    if (found == std::string_view::npos) break;
    const std::string_view head = text.substr(0, found);
    const std::string_view tail = text.substr(found + separator.size());
    out.emplace_back(from_right ? tail : head);
    text = from_right ? head : tail;
  }
  out.emplace_back(text);
  if (from_right) std::reverse(out.begin(), out.end());
  return Value::list(std::move(out));
}

Value partition(const std::string& text, Args args, bool from_right) {
  const std::string& separator = text_argument(args, 0, "sep");
  if (separator.empty()) throw Failure("empty separator");
  const size_t found = from_right ? text.rfind(separator) : find_in(text, separator);
  if (found == std::string::npos) {
    return from_right ? Value::tuple({"", "", text}) : Value::tuple({text, "", ""});
  }
  return Value::tuple({text.substr(0, found), separator, text.substr(found + separator.size())});
}

Value replace(const std::string& text, Args args) {
  const std::string& from = text_argument(args, 0, "old");
  const std::string& to = text_argument(args, 1, "new");
  const int64_t limit = args.integer(2, "count", -1);
  size_t found = from.empty() ? text.size() + 1 : 0;
  for (size_t at = 0; !from.empty() && (at = find_in(text, from, at)) != std::string::npos;
       at += from.size())
    ++found;
  check_size(text.size() + to.size() * (found + 1));
  return replace_all(text, from, to, limit);
}

// The part of a text that the arguments start and end name, and where it begins in bytes and in
// code points.
struct Part {
  std::string_view text;
  size_t byte = 0, index = 0;
  bool exists = true;  // start isn't behind the end of the text
};

Part part_of(const std::string& text, Args args) {
  if (args.positional.size() < 2) return {text, 0, 0, true};
  const std::vector<size_t> offsets = code_point_offsets(text);
  const auto size = static_cast<int64_t>(offsets.size()) - 1;
  const auto bound = [&](size_t at, int64_t otherwise) {
    int64_t value = args.integer(at, "", otherwise);
    if (value < 0) value = std::max<int64_t>(0, value < -size ? 0 : value + size);
    return value;
  };
  const int64_t start = bound(1, 0), end = std::min(bound(2, size), size);
  if (start > size) return {{}, text.size(), static_cast<size_t>(size), false};
  const auto from = static_cast<size_t>(start);
  const auto to = static_cast<size_t>(std::max(start, end));
  return {std::string_view(text).substr(offsets[from], offsets[to] - offsets[from]), offsets[from],
          from, start <= end};
}

Value find_text(const std::string& text, Args args, bool last) {
  const std::string& wanted = text_argument(args, 0, "sub");
  const Part part = part_of(text, args);
  const size_t found = !part.exists ? std::string_view::npos
                       : last       ? part.text.rfind(wanted)
                                    : find_in(part.text, wanted);
  if (found == std::string_view::npos) return int64_t{-1};
  return static_cast<int64_t>(part.index + count_code_points(part.text.substr(0, found)));
}

Value count_text(const std::string& text, Args args) {
  const std::string& wanted = text_argument(args, 0, "sub");
  const Part part = part_of(text, args);
  if (!part.exists) return int64_t{0};
  if (wanted.empty()) return static_cast<int64_t>(count_code_points(part.text) + 1);
  int64_t count = 0;
  for (size_t at = 0; (at = find_in(part.text, wanted, at)) != std::string_view::npos;
       at += wanted.size())
    ++count;
  return count;
}

// startswith and endswith take one text or a tuple of them.
bool has_affix(const std::string& text, Args args, bool prefix) {
  const Value& affix = args.require(0, "prefix");
  const Part part = part_of(text, args);
  const auto matches = [&](const Value& value) {
    if (!value.text()) {
      throw Failure(fmt::format("{} first arg must be str or a tuple of str, not {}",
                                prefix ? "startswith" : "endswith", value.type_name()));
    }
    return part.exists &&
           (prefix ? part.text.starts_with(*value.text()) : part.text.ends_with(*value.text()));
  };
  const List* list = affix.as_list();
  if (!list || !list->is(ListKind::kTuple)) return matches(affix);
  return std::any_of(list->items.begin(), list->items.end(), matches);
}

Value join_method(const std::string& text, Args args) {
  const std::vector<Value> items = iterate(args.require(0, "iterable"));
  for (const Value& each : items) {
    if (!each.text()) {
      throw Failure(
          fmt::format("sequence item: expected str instance, {} found", each.type_name()));
    }
  }
  return join_texts(items, text);
}

size_t width_argument(Args args) {
  const int64_t width = args.require(0, "width").integer();
  check_size(static_cast<size_t>(std::max<int64_t>(width, 0)));
  return static_cast<size_t>(std::max<int64_t>(width, 0));
}

std::string filled(std::string_view text, size_t left, size_t right, std::string_view fill) {
  std::string out;
  for (size_t i = 0; i < left; ++i) out += fill;
  out += text;
  for (size_t i = 0; i < right; ++i) out += fill;
  return out;
}

// center, ljust and rjust; `left` blanks of what is missing go before the text.
template <class Left>
Value justify(const std::string& text, Args args, Left&& left) {
  const size_t width = width_argument(args), length = count_code_points(text);
  const std::string fill = args.positional.size() > 1 ? text_argument(args, 1, "fill") : " ";
  if (count_code_points(fill) != 1)
    throw Failure("The fill character must be exactly one character long");
  if (length >= width) return text;
  check_size(width * fill.size());
  const size_t before = left(width - length, width);
  return filled(text, before, width - length - before, fill);
}

Value zero_fill(const std::string& text, Args args) {
  const size_t width = width_argument(args), length = count_code_points(text);
  if (length >= width) return text;
  const size_t sign = !text.empty() && (text[0] == '+' || text[0] == '-') ? 1 : 0;
  return text.substr(0, sign) + std::string(width - length, '0') + text.substr(sign);
}

Value expand_tabs(const std::string& text, Args args) {
  const int64_t size = args.integer(0, "tabsize", 8);
  if (size > 1000) throw Failure("tabsize of more than 1000");
  std::string out;
  size_t column = 0;
  for (size_t i = 0; i < text.size();) {
    const size_t begin = i;
    const int32_t c = next_code_point(text, i);
    if (c == '\t') {
      const auto tab = static_cast<size_t>(std::max<int64_t>(size, 0));
      const size_t blanks = tab == 0 ? 0 : tab - column % tab;
      out.append(blanks, ' ');
      column += blanks;
    } else {
      out += text.substr(begin, i - begin);
      column = c == '\n' || c == '\r' ? 0 : column + 1;
    }
    check_size(out.size());
  }
  return out;
}

Value affix_removed(const std::string& text, Args args, bool prefix) {
  const std::string& affix = text_argument(args, 0, "affix");
  if (!(prefix ? text.starts_with(affix) : text.ends_with(affix))) return text;
  return text.substr(prefix ? affix.size() : 0, text.size() - affix.size());
}

Value found_or_failure(const Value& found) {
  if (found.integer() < 0) throw Failure("substring not found");
  return found;
}

using Call = Value (*)(const Value& self, Args args, Runtime& runtime);

template <auto function>
constexpr Call kPlain =
    [](const Value& self, Args, Runtime&) -> Value { return function(*self.text()); };
template <auto function, bool flag>
constexpr Call kWith = [](const Value& self, Args args, Runtime&) -> Value {
  return function(*self.text(), args, flag);
};
template <auto function>
constexpr Call kTaking =
    [](const Value& self, Args args, Runtime&) -> Value { return function(*self.text(), args); };
template <bool left, bool right>
constexpr Call kStrip = [](const Value& self, Args args, Runtime&) -> Value {
  return strip_text(*self.text(), args, left, right);
};

// Sorted by name.
constexpr MethodRow kTextMethods[] = {
    {"capitalize", kPlain<capitalize>, 0, 0, ""},
    {"casefold", kPlain<casefold>, 0, 0, ""},
    {"center",
     [](const Value& self, Args args, Runtime&) {
       return justify(*self.text(), args, [](size_t missing, size_t width) {
         return missing / 2 + (missing & width & 1);
       });
     },
     1, 2, ""},
    {"count", kTaking<count_text>, 1, 3, ""},
    {"endswith", kWith<has_affix, false>, 1, 3, ""},
    {"expandtabs", kTaking<expand_tabs>, 0, 1, "tabsize"},
    {"find", kWith<find_text, false>, 1, 3, ""},
    {"format",
     [](const Value& self, Args args, Runtime&) -> Value {
       return brace_format(*self.text(), args);
     },
     0, 1000, "**"},
    {"format_map",
     [](const Value& self, Args args, Runtime&) -> Value {
       const Dict* dict = args.require(0, "mapping").as_dict();
       if (!dict) throw Failure("format_map() argument must be a mapping");
       Arguments named;
       for (const auto& [key, value] : dict->items) named.named.emplace_back(to_text(key), value);
       return brace_format(*self.text(), named);
     },
     1, 1, ""},
    {"index",
     [](const Value& self, Args args, Runtime&) {
       return found_or_failure(find_text(*self.text(), args, false));
     },
     1, 3, ""},
    {"isalnum", kPlain<is_alnum>, 0, 0, ""},
    {"isalpha", kPlain<is_alpha>, 0, 0, ""},
    {"isascii", kPlain<is_ascii>, 0, 0, ""},
    {"isdecimal", kPlain<is_decimal>, 0, 0, ""},
    {"isdigit", kPlain<is_digit>, 0, 0, ""},
    {"isidentifier", kPlain<is_identifier>, 0, 0, ""},
    {"islower", kPlain<is_lower>, 0, 0, ""},
    {"isnumeric", kPlain<is_numeric>, 0, 0, ""},
    {"isprintable", kPlain<is_printable_text>, 0, 0, ""},
    {"isspace", kPlain<is_blank>, 0, 0, ""},
    {"istitle", kPlain<is_title>, 0, 0, ""},
    {"isupper", kPlain<is_upper>, 0, 0, ""},
    {"join", kTaking<join_method>, 1, 1, ""},
    {"ljust",
     [](const Value& self, Args args, Runtime&) {
       return justify(*self.text(), args, [](size_t, size_t) { return size_t{0}; });
     },
     1, 2, ""},
    {"lower", kPlain<lower>, 0, 0, ""},
    {"lstrip", kStrip<true, false>, 0, 1, ""},
    {"partition", kWith<partition, false>, 1, 1, ""},
    {"removeprefix", kWith<affix_removed, true>, 1, 1, ""},
    {"removesuffix", kWith<affix_removed, false>, 1, 1, ""},
    {"replace", kTaking<replace>, 2, 3, ""},
    {"rfind", kWith<find_text, true>, 1, 3, ""},
    {"rindex",
     [](const Value& self, Args args, Runtime&) {
       return found_or_failure(find_text(*self.text(), args, true));
     },
     1, 3, ""},
    {"rjust",
     [](const Value& self, Args args, Runtime&) {
       return justify(*self.text(), args, [](size_t missing, size_t) { return missing; });
     },
     1, 2, ""},
    {"rpartition", kWith<partition, true>, 1, 1, ""},
    {"rsplit", kWith<split_text, true>, 0, 2, "sep maxsplit"},
    {"rstrip", kStrip<false, true>, 0, 1, ""},
    {"split", kWith<split_text, false>, 0, 2, "sep maxsplit"},
    {"splitlines",
     [](const Value& self, Args args, Runtime&) {
       return Value::list(values_of(split_lines(*self.text(), args.flag(0, "keepends", false))));
     },
     0, 1, "keepends"},
    {"startswith", kWith<has_affix, true>, 1, 3, ""},
    {"strip", kStrip<true, true>, 0, 1, ""},
    {"swapcase", kPlain<swap_case>, 0, 0, ""},
    {"title", kPlain<title>, 0, 0, ""},
    {"upper", kPlain<upper>, 0, 0, ""},
    {"zfill", kTaking<zero_fill>, 1, 1, ""},
};

}  // namespace

const MethodRow* find_text_method(std::string_view name) {
  const auto* row =
      std::lower_bound(std::begin(kTextMethods), std::end(kTextMethods), name,
                       [](const MethodRow& r, std::string_view wanted) { return r.name < wanted; });
  return row != std::end(kTextMethods) && row->name == name ? row : nullptr;
}

}  // namespace tensormill::jinja
