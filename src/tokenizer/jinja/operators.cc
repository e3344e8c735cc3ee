// Arithmetic and text formatting, as Python has them.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/text.h"

namespace tensormill::jinja {
namespace {

[[noreturn]] void no_operation(std::string_view op, const Value& a, const Value& b) {
  if (const auto* undefined = a.get<Undefined>()) throw Failure(undefined->reason);
  if (const auto* undefined = b.get<Undefined>()) throw Failure(undefined->reason);
  if (op == "+" && a.text()) {
    throw Failure(fmt::format("can only concatenate str (not \"{}\") to str", b.type_name()));
  }
  throw Failure(fmt::format("unsupported operand type(s) for {}: '{}' and '{}'", op, a.type_name(),
                            b.type_name()));
}

[[noreturn]] void too_large() {
  throw Failure("integer too large");
}

int64_t floor_divide(int64_t a, int64_t b) {
  if (b == -1) {
    if (a == INT64_MIN) too_large();
    return -a;
  }
  const int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

int64_t modulo(int64_t a, int64_t b) {
  if (b == -1) return 0;
  const int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

Value int_power(int64_t base, int64_t exponent) {
  if (exponent < 0) return std::pow(static_cast<double>(base), static_cast<double>(exponent));
  int64_t out = 1;
  while (exponent > 0) {
    if (exponent & 1 && __builtin_mul_overflow(out, base, &out)) too_large();
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) too_large();
  }
  return out;
}

Value integers(std::string_view op, int64_t a, int64_t b) {
  int64_t out = 0;
  if (op == "**") return int_power(a, b);
  if (op == "/" || op == "//" || op == "%") {
    if (b == 0)
      throw Failure(op == "/" ? "division by zero" : "integer division or modulo by zero");
    if (op == "/") return static_cast<double>(a) / static_cast<double>(b);
    return op == "%" ? modulo(a, b) : floor_divide(a, b);
  }
  const bool overflow = op == "+"   ? __builtin_add_overflow(a, b, &out)
                        : op == "-" ? __builtin_sub_overflow(a, b, &out)
                                    : __builtin_mul_overflow(a, b, &out);
  if (overflow) too_large();
  return out;
}

Value floats(std::string_view op, double a, double b) {
  if (op == "+") return a + b;
  if (op == "-") return a - b;
  if (op == "*") return a * b;
  if (op == "**") return std::pow(a, b);
  if (b == 0) throw Failure("float division by zero");
  if (op == "/") return a / b;
  if (op == "//") return std::floor(a / b);
  const double rest = std::fmod(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

Value repeat(const Value& value, int64_t times) {
  const auto count = static_cast<size_t>(std::max<int64_t>(times, 0));
  if (count > 0 && value.weight() > kMaxWeight / count) check_size(kMaxWeight + 1);
  if (const std::string* text = value.text()) {
    std::string out;
    out.reserve(text->size() * count);
    for (size_t i = 0; i < count && !text->empty(); ++i) out += *text;
    return out;
  }
  const List& list = *value.as_list();
  std::vector<Value> items;
  for (size_t i = 0; i < count && !list.items.empty(); ++i)
    items.insert(items.end(), list.items.begin(), list.items.end());
  return Value::list(std::move(items), list.tuple);
}

// One conversion of percent_format: "%-05.2f" without the sign that begins it.
struct Conversion {
  bool left = false, zero = false, plus = false;
  int width = 0, precision = -1;
  char type = 's';
};

Conversion read_conversion(const std::string& text, size_t& at) {
  Conversion out;
  const auto peek = [&] { return at < text.size() ? text[at] : '\0'; };
  const auto number = [&] {
    int value = 0;
    for (; peek() >= '0' && peek() <= '9'; ++at) {
      value = value * 10 + (peek() - '0');
      if (value > 1000) throw Failure("width or precision of more than 1000");
    }
    return value;
  };
  for (; peek() == '-' || peek() == '0' || peek() == '+'; ++at) {
    out.left |= peek() == '-';
    out.zero |= peek() == '0';
    out.plus |= peek() == '+';
  }
  out.width = number();
  if (peek() == '.') {
    ++at;
    out.precision = number();
  }
  if (at >= text.size()) throw Failure("incomplete format");
  out.type = text[at++];
  return out;
}

std::string convert(const Conversion& conversion, const Value& value) {
  std::string body;
  const int precision = conversion.precision < 0 ? 6 : conversion.precision;
  const bool numeric = std::string_view("sr").find(conversion.type) == std::string_view::npos;
  if (numeric && !value.is_number())
    throw Failure(fmt::format("%{} format: a real number is required, not {}", conversion.type,
                              value.type_name()));
  const auto whole = [&value]() -> int64_t {
    if (value.is_integral()) return value.integer();
    if (!(std::abs(value.number()) < 9.2e18)) too_large();
    return static_cast<int64_t>(value.number());
  };
  switch (conversion.type) {
    case 's':
    case 'r': {
      body = conversion.type == 's' ? to_text(value) : to_repr(value);
      const std::vector<size_t> offsets = code_point_offsets(body);
      if (conversion.precision >= 0 &&
          static_cast<size_t>(conversion.precision) < offsets.size() - 1)
        body.resize(offsets[static_cast<size_t>(conversion.precision)]);
      break;
    }
    case 'd':
    case 'i':
      body = fmt::format("{}", whole());
      break;
    case 'x':
      body = fmt::format("{:x}", value.integer());
      break;
    case 'X':
      body = fmt::format("{:X}", value.integer());
      break;
    case 'o':
      body = fmt::format("{:o}", value.integer());
      break;
    case 'f':
    case 'F':
      body = fmt::format("{:.{}f}", value.number(), precision);
      break;
    case 'e':
      body = fmt::format("{:.{}e}", value.number(), precision);
      break;
    case 'g':
      body = fmt::format("{:.{}g}", value.number(), precision);
      break;
    default:
      throw Failure(fmt::format("unsupported format character '{}'", conversion.type));
  }
  if (numeric && conversion.plus && body[0] != '-') body = fmt::format("+{}", body);
  const auto width = static_cast<size_t>(conversion.width);
  const size_t length = count_code_points(body);
  if (length >= width) return body;
  if (conversion.left) return body + std::string(width - length, ' ');
  if (conversion.zero && numeric) {
    const size_t sign = body[0] == '-' || body[0] == '+';
    return body.insert(sign, width - length, '0');
  }
  return std::string(width - length, ' ') + body;
}

}  // namespace

Value binary(std::string_view op, const Value& a, const Value& b) {
  if (op == "%" && a.text()) return percent_format(*a.text(), b);
  if (a.is_number() && b.is_number()) {
    if (a.is_integral() && b.is_integral()) return integers(op, a.integer(), b.integer());
    return floats(op, a.number(), b.number());
  }
  const List *x = a.as_list(), *y = b.as_list();
  if (op == "+") {
    if (a.text() && b.text()) {
      check_size(a.text()->size() + b.text()->size());
      return *a.text() + *b.text();
    }
    if (x && y && x->tuple == y->tuple) {
      std::vector<Value> items = x->items;
      items.insert(items.end(), y->items.begin(), y->items.end());
      return Value::list(std::move(items), x->tuple);
    }
  } else if (op == "*") {
    if ((a.text() || x) && b.is_integral()) return repeat(a, b.integer());
    if ((b.text() || y) && a.is_integral()) return repeat(b, a.integer());
  }
  no_operation(op, a, b);
}

std::string percent_format(const std::string& text, const Value& values) {
  const List* list = values.as_list();
  std::vector<Value> items;
  if (list && list->tuple) {
    items = list->items;
  } else {
    items.push_back(values);
  }
  std::string out;
  size_t used = 0;
  for (size_t at = 0; at < text.size();) {
    if (text[at] != '%') {
      out += text[at++];
      continue;
    }
    ++at;
    if (at < text.size() && text[at] == '%') {
      out += text[at++];
    } else if (at < text.size() && text[at] == '(') {
      const size_t close = text.find(')', at);
      if (close == std::string::npos || !values.as_dict())
        throw Failure("format requires a mapping");
      const std::string name = text.substr(at + 1, close - at - 1);
      const Value* found = values.as_dict()->find_text(name);
      if (!found) throw Failure(fmt::format("format has no value for '{}'", name));
      at = close + 1;
      out += convert(read_conversion(text, at), *found);
      used = items.size();
    } else {
      const Conversion conversion = read_conversion(text, at);
      if (used >= items.size()) throw Failure("not enough arguments for format string");
      out += convert(conversion, items[used++]);
    }
    check_size(out.size());
  }
  if (used < items.size() && !values.as_dict())
    throw Failure("not all arguments converted during string formatting");
  return out;
}

}  // namespace tensormill::jinja
