// text % values and text.format(values), as Python has them.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/text.h"

namespace tensormill::jinja {
namespace {

// How one value is shown, in both languages.
struct Spec {
  std::string_view fill = " ";  // of the text that holds the spec
  char align = 0;               // '<', '>', '^', '='; 0: as the type has it
  char sign = '-', group = 0, type = 0;
  bool alternate = false;
  int width = 0, precision = -1;
};

// Digits from `at` on; advances at.
int read_number(std::string_view text, size_t& at, int otherwise) {
  if (at >= text.size() || text[at] < '0' || text[at] > '9') return otherwise;
  int value = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
    value = value * 10 + (text[at] - '0');
    if (value > 1000) throw Failure("width or precision of more than 1000");
  }
  return value;
}

bool is_one_of(char c, std::string_view set) {
  return c != 0 && set.find(c) != std::string_view::npos;
}

std::string padded(const std::string& body, const Spec& spec, char align) {
  const size_t length = count_code_points(body), width = static_cast<size_t>(spec.width);
  if (length >= width) return body;
  const auto fill = [&spec](size_t times) {
    std::string out;
    for (size_t i = 0; i < times; ++i) out += spec.fill;
    return out;
  };
  const size_t missing = width - length;
  if (align == '<') return body + fill(missing);
  if (align == '^') return fill(missing / 2) + body + fill(missing - missing / 2);
  if (align != '=') return fill(missing) + body;
  size_t head = !body.empty() && is_one_of(body[0], "+- ") ? 1 : 0;
  if (spec.alternate && body.size() > head + 1 && body[head] == '0' &&
      is_one_of(body[head + 1], "xXbo"))
    head += 2;
  return body.substr(0, head) + fill(missing) + body.substr(head);
}

// Separators between groups of digits of the whole part that begins at `begin`.
void group_digits(std::string& body, size_t begin, char separator, bool decimal) {
  size_t end = begin;
  while (end < body.size() && std::isxdigit(static_cast<unsigned char>(body[end])) &&
         !(decimal && is_one_of(body[end], "eE")))
    ++end;
  const size_t group = decimal ? 3 : 4;
  for (size_t at = end; at > begin + group;) {
    at -= group;
    body.insert(at, 1, separator);
  }
}

std::string with_sign(std::string body, char sign) {
  if (body[0] != '-' && sign != '-') body.insert(0, 1, sign);
  return body;
}

std::string float_body(double value, const Spec& spec) {
  const char type = spec.type == 0 || spec.type == 'n' ? 'g' : spec.type;
  if (!std::isfinite(value)) {
    std::string body = std::isnan(value) ? "nan" : value < 0 ? "-inf" : "inf";
    if (is_one_of(type, "EFG"))
      std::transform(body.begin(), body.end(), body.begin(), [](char c) { return c & ~0x20; });
    return type == '%' ? body + "%" : body;
  }
  const int precision = spec.precision < 0 ? 6 : spec.precision;
  switch (type) {
    case 'e':
      return fmt::format("{:.{}e}", value, precision);
    case 'E':
      return fmt::format("{:.{}E}", value, precision);
    case 'f':
    case 'F':
      return fmt::format("{:.{}f}", value, precision);
    case '%':
      return fmt::format("{:.{}f}%", value * 100, precision);
    case 'G':
      return spec.alternate ? fmt::format("{:#.{}G}", value, std::max(precision, 1))
                            : fmt::format("{:.{}G}", value, std::max(precision, 1));
    default:
      break;
  }
  if (spec.type == 0 && spec.precision < 0) return format_float(value);
  if (spec.type == 0) {  // as repr, but with so many digits
    std::string body = fmt::format("{:.{}g}", value, std::max(precision, 1));
    const bool plain = body.find_first_of(".e") == std::string::npos;
    if (plain && static_cast<int>(body.size()) - (body[0] == '-') >= std::max(precision, 1))
      return fmt::format("{:.{}e}", value, std::max(precision, 1) - 1);
    return plain ? body + ".0" : body;
  }
  return spec.alternate ? fmt::format("{:#.{}g}", value, std::max(precision, 1))
                        : fmt::format("{:.{}g}", value, std::max(precision, 1));
}

std::string integer_body(int64_t value, const Spec& spec) {
  const auto size = value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  const char* sign = value < 0 ? "-" : "";
  switch (spec.type) {
    case 'x':
      return fmt::format("{}{}{:x}", sign, spec.alternate ? "0x" : "", size);
    case 'X':
      return fmt::format("{}{}{:X}", sign, spec.alternate ? "0X" : "", size);
    case 'o':
      return fmt::format("{}{}{:o}", sign, spec.alternate ? "0o" : "", size);
    case 'b':
      return fmt::format("{}{}{:b}", sign, spec.alternate ? "0b" : "", size);
    default:
      return fmt::format("{}{}", sign, size);
  }
}

std::string character(int64_t code) {
  if (code < 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
    throw Failure("%c arg not in range(0x110000)");
  return code_point_text(static_cast<int32_t>(code));
}

std::string cut(const std::string& text, int precision) {
  if (precision < 0) return text;
  const std::vector<size_t> offsets = code_point_offsets(text);
  const auto most = static_cast<size_t>(precision);
  return most < offsets.size() - 1 ? text.substr(0, offsets[most]) : text;
}

std::string number_text(const Value& value, const Spec& spec) {
  const bool as_integer = value.is_integral() && !is_one_of(spec.type, "eEfFgG%");
  if (as_integer && spec.precision >= 0)
    throw Failure("Precision not allowed in integer format specifier");
  if (as_integer && !is_one_of(spec.type ? spec.type : 'd', "bcdoxXn"))
    throw Failure(fmt::format("Unknown format code '{}' for object of type 'int'", spec.type));
  if (!as_integer && !is_one_of(spec.type ? spec.type : 'g', "eEfFgGn%"))
    throw Failure(fmt::format("Unknown format code '{}' for object of type '{}'", spec.type,
                              value.type_name()));
  if (spec.type == 'c')
    return padded(character(value.integer()), spec, spec.align ? spec.align : '<');
  std::string body =
      with_sign(as_integer ? integer_body(value.integer(), spec) : float_body(value.number(), spec),
                spec.sign);
  if (spec.group) {
    size_t begin = is_one_of(body[0], "+- ") ? 1 : 0;
    if (spec.alternate && is_one_of(spec.type, "xXob")) begin += 2;
    group_digits(body, begin, spec.group, !is_one_of(spec.type, "xXob"));
  }
  return padded(body, spec, spec.align ? spec.align : '>');
}

Spec read_spec(std::string_view text) {
  Spec spec;
  size_t at = 0, next = 0;
  if (!text.empty()) next_code_point(text, next);
  if (next < text.size() && is_one_of(text[next], "<>^=")) {
    spec.fill = text.substr(0, next);
    spec.align = text[next];
    at = next + 1;
  } else if (!text.empty() && is_one_of(text[0], "<>^=")) {
    spec.align = text[0];
    at = 1;
  }
  const auto peek = [&] { return at < text.size() ? text[at] : '\0'; };
  if (is_one_of(peek(), "+- ")) spec.sign = text[at++];
  if (peek() == '#') {
    spec.alternate = true;
    ++at;
  }
  if (peek() == '0') {
    ++at;
    if (!spec.align) {
      spec.align = '=';
      spec.fill = "0";
    }
  }
  spec.width = read_number(text, at, 0);
  if (is_one_of(peek(), ",_")) spec.group = text[at++];
  if (peek() == '.') {
    ++at;
    spec.precision = read_number(text, at, -1);
    if (spec.precision < 0) throw Failure("Format specifier missing precision");
  }
  if (at < text.size()) spec.type = text[at++];
  if (at != text.size()) throw Failure("Invalid format specifier");
  return spec;
}

std::string format_value(const Value& value, std::string_view spec_text) {
  if (spec_text.empty()) return to_text(value);
  if (!value.text() && !(value.is_number() && !value.get<BigInteger>())) {
    throw Failure(
        fmt::format("unsupported format string passed to {}.__format__", value.type_name()));
  }
  const Spec spec = read_spec(spec_text);
  if (!value.text()) return number_text(value, spec);
  if ((spec.type && spec.type != 's') || spec.sign != '-' || spec.alternate || spec.group)
    throw Failure("format specifier not allowed for strings");
  if (spec.align == '=' && spec.fill != "0")
    throw Failure("'=' alignment not allowed in string format specifier");
  const char align = spec.align && spec.align != '=' ? spec.align : '<';
  return padded(cut(*value.text(), spec.precision), spec, align);
}

// Walks over "{0.name[key]!r:spec}".
class BraceFormat {
 public:
  BraceFormat(const Arguments& arguments) : arguments_(arguments) {}

  std::string run(std::string_view text, int depth) {
    if (depth > 2) throw Failure("Max string recursion exceeded");
    std::string out;
    for (size_t at = 0; at < text.size();) {
      const char c = text[at++];
      const bool doubled = at < text.size() && text[at] == c;
      if (c != '{' && c != '}') {
        out += c;
      } else if (doubled && depth == 1) {
        out += c;
        ++at;
      } else if (c == '}') {
        throw Failure("Single '}' encountered in format string");
      } else {
        const size_t begin = at;
        at = field_end(text, begin);
        out += field(text.substr(begin, at - 1 - begin), depth);
        check_size(out.size());
      }
    }
    return out;
  }

 private:
  // Behind the brace that closes the field.
  static size_t field_end(std::string_view text, size_t at) {
    for (int open = 1; at < text.size();) {
      const char c = text[at++];
      open += c == '{' ? 1 : c == '}' ? -1 : 0;
      if (open == 0) return at;
    }
    throw Failure("expected '}' before end of string");
  }

  std::string field(std::string_view text, int depth) {
    const size_t end = std::min(text.find_first_of("!:"), text.size());
    Value value = lookup(text.substr(0, end));
    size_t at = end;
    if (at < text.size() && text[at] == '!') {
      const char how = at + 1 < text.size() ? text[at + 1] : ' ';
      if (!is_one_of(how, "rsa")) throw Failure("Unknown conversion specifier");
      value = Value(how == 's' ? to_text(value) : to_repr(value));
      at += 2;
      if (at < text.size() && text[at] != ':')
        throw Failure("expected ':' after conversion specifier");
    }
    return format_value(value, at < text.size() ? run(text.substr(at + 1), depth + 1) : "");
  }

  Value lookup(std::string_view name) {
    size_t at = std::min(name.find_first_of(".["), name.size());
    const std::string first(name.substr(0, at));
    Value value = argument(first);
    while (at < name.size()) {
      if (name[at] == '.') {
        const size_t end = std::min(name.find_first_of(".[", at + 1), name.size());
        value = attribute(value, std::string(name.substr(at + 1, end - at - 1)));
        at = end;
        continue;
      }
      const size_t end = name.find(']', at);
      if (name[at] != '[' || end == std::string_view::npos)
        throw Failure("Only '.' or '[' may follow ']' in format field specifier");
      const std::string key(name.substr(at + 1, end - at - 1));
      const bool digits = !key.empty() && key.size() < 10 &&
                          key.find_first_not_of("0123456789") == std::string::npos;
      value = item(value, digits ? Value(static_cast<int64_t>(std::stoll(key))) : Value(key));
      at = end + 1;
    }
    return value;
  }

  Value argument(const std::string& name) {
    const bool digits = name.find_first_not_of("0123456789") == std::string::npos;
    if (digits && name.size() < 10) {
      const size_t index = name.empty() ? next_++ : static_cast<size_t>(std::stoll(name));
      if (index >= arguments_.positional.size())
        throw Failure(fmt::format("Replacement index {} out of range", index));
      return arguments_.positional[index];
    }
    for (const auto& [key, value] : arguments_.named) {
      if (key == name) return value;
    }
    throw Failure(fmt::format("format: no argument '{}'", name));
  }

  const Arguments& arguments_;
  size_t next_ = 0;
};

// One conversion of percent_format: "%-05.2f" without the sign that begins it.
class PercentFormat {
 public:
  PercentFormat(const std::string& text, const Value& values) : text_(text), values_(values) {
    const List* list = values.as_list();
    if (list && (list->is(ListKind::kTuple) || list->is(ListKind::kGroup))) {
      items_ = list->items;
    } else {
      items_.push_back(values);
    }
  }

  std::string run() {
    std::string out;
    while (at_ < text_.size()) {
      const size_t percent = std::min(text_.find('%', at_), text_.size());
      out.append(text_, at_, percent - at_);
      at_ = percent + 1;
      if (percent == text_.size()) break;
      out += conversion();
      check_size(out.size());
    }
    if (used_ < items_.size() && !may_be_unused())
      throw Failure("not all arguments converted during string formatting");
    return out;
  }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  // Python counts all that can be indexed as a mapping but tuples and texts.
  bool may_be_unused() const {
    const List* list = values_.as_list();
    return values_.as_dict() || values_.is_undefined() ||
           (list && (list->is(ListKind::kList) || list->is(ListKind::kRange)));
  }

  const Value& next_item() {
    if (used_ >= items_.size()) throw Failure("not enough arguments for format string");
    return items_[used_++];
  }

  int size(int otherwise) {
    if (peek() != '*') return read_number(text_, at_, otherwise);
    ++at_;
    const int64_t value = next_item().integer();
    if (value < -1000 || value > 1000) throw Failure("width or precision of more than 1000");
    return static_cast<int>(value);
  }

  std::string conversion() {
    const Value* given = nullptr;
    if (peek() == '(') given = &mapped();
    Spec spec;
    for (; is_one_of(peek(), "-0+ #"); ++at_) {
      if (peek() == '-') spec.align = '<';
      if (peek() == '0') spec.fill = "0";
      if (peek() == '+' || (peek() == ' ' && spec.sign == '-')) spec.sign = peek();
      spec.alternate |= peek() == '#';
    }
    spec.width = size(0);
    if (spec.width < 0) {
      spec.width = -spec.width;
      spec.align = '<';
    }
    if (peek() == '.') {
      ++at_;
      spec.precision = std::max(size(0), 0);
    }
    while (is_one_of(peek(), "hlL")) ++at_;
    if (at_ >= text_.size()) throw Failure("incomplete format");
    spec.type = text_[at_++];
    if (spec.type == '%') return "%";
    return convert(spec, given ? *given : next_item());
  }

  const Value& mapped() {
    const size_t close = text_.find(')', at_);
    if (close == std::string::npos || !values_.as_dict())
      throw Failure("format requires a mapping");
    const std::string name = text_.substr(at_ + 1, close - at_ - 1);
    const Value* found = values_.as_dict()->find_text(name);
    if (!found) throw Failure(fmt::format("format has no value for '{}'", name));
    at_ = close + 1;
    return *found;
  }

  static std::string convert(Spec spec, const Value& value) {
    const char left = spec.align ? spec.align : '>';
    if (is_one_of(spec.type, "sra")) {
      const std::string body = spec.type == 's' ? to_text(value) : to_repr(value);
      spec.fill = " ";
      return padded(cut(body, spec.precision), spec, left);
    }
    if (spec.type == 'c') {
      spec.fill = " ";
      if (!value.text()) return padded(character(value.integer()), spec, left);
      if (count_code_points(*value.text()) != 1) throw Failure("%c requires int or char");
      return padded(*value.text(), spec, left);
    }
    if (!is_one_of(spec.type, "diuoxXeEfFgG"))
      throw Failure(fmt::format("unsupported format character '{}'", spec.type));
    if (const auto* undefined = value.get<Undefined>()) fail_undefined(*undefined);
    if (!value.is_number()) {
      throw Failure(
          fmt::format("%{} format: a number is required, not {}", spec.type, value.type_name()));
    }
    if (!spec.align && spec.fill == "0") spec.align = '=';
    if (spec.align == '<') spec.fill = " ";
    if (is_one_of(spec.type, "eEfFgG")) return number_text(value, spec);
    const int digits = std::exchange(spec.precision, -1);
    if (is_one_of(spec.type, "diu")) {
      spec.type = 'd';
      return with_digits(Value(whole(value)), spec, digits);
    }
    return with_digits(value.get<double>() ? Value(value.integer()) : value, spec, digits);
  }

  static std::string with_digits(const Value& value, Spec spec, int digits) {
    if (digits < 0) return number_text(Value(value.integer()), spec);
    Spec plain = spec;
    plain.width = digits + (value.integer() < 0 || spec.sign != '-' ? 1 : 0);
    plain.fill = "0";
    plain.align = '=';
    return padded(number_text(Value(value.integer()), plain), spec, spec.align ? spec.align : '>');
  }

  static int64_t whole(const Value& value) {
    const double* real = value.get<double>();
    if (!real) return value.integer();
    if (!(std::abs(*real) < 9.2e18)) throw Failure("integer too large");
    return static_cast<int64_t>(*real);
  }

  const std::string& text_;
  const Value& values_;
  std::vector<Value> items_;
  size_t used_ = 0, at_ = 0;
};

}  // namespace

std::string percent_format(const std::string& text, const Value& values) {
  return PercentFormat(text, values).run();
}

std::string brace_format(const std::string& text, const Arguments& arguments) {
  return BraceFormat(arguments).run(text, 1);
}

}  // namespace tensormill::jinja
