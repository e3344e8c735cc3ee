// Arithmetic and text formatting, as Python has them.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/text.h"

namespace tensormill::jinja {
namespace {

const char* symbol(Operator op) {
  switch (op) {
    case Operator::kAdd:
      return "+";
    case Operator::kSubtract:
      return "-";
    case Operator::kMultiply:
      return "*";
    case Operator::kDivide:
      return "/";
    case Operator::kFloorDivide:
      return "//";
    case Operator::kModulo:
      return "%";
    default:
      return "**";
  }
}

[[noreturn]] void no_operation(Operator op, const Value& a, const Value& b) {
  if (const auto* undefined = a.get<Undefined>()) fail_undefined(*undefined);
  if (const auto* undefined = b.get<Undefined>()) fail_undefined(*undefined);
  if (op == Operator::kAdd && a.text()) {
    throw Failure(fmt::format("can only concatenate str (not \"{}\") to str", b.type_name()));
  }
  if (const List* list = a.as_list();
      op == Operator::kAdd && list && (list->is(ListKind::kList) || list->is(ListKind::kTuple))) {
    throw Failure(
        fmt::format("can only concatenate {0} (not \"{1}\") to {0}", a.type_name(), b.type_name()));
  }
  throw Failure(fmt::format("unsupported operand type(s) for {}: '{}' and '{}'", symbol(op),
                            a.type_name(), b.type_name()));
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

Value integers(Operator op, int64_t a, int64_t b) {
  int64_t out = 0;
  bool overflow = false;
  switch (op) {
    case Operator::kAdd:
      overflow = __builtin_add_overflow(a, b, &out);
      break;
    case Operator::kSubtract:
      overflow = __builtin_sub_overflow(a, b, &out);
      break;
    case Operator::kMultiply:
      overflow = __builtin_mul_overflow(a, b, &out);
      break;
    case Operator::kDivide:
      if (b == 0) throw Failure("division by zero");
      return static_cast<double>(a) / static_cast<double>(b);
    case Operator::kPower:
      if (a == 0 && b < 0) throw Failure("0.0 cannot be raised to a negative power");
      return int_power(a, b);
    default:
      if (b == 0) throw Failure("integer division or modulo by zero");
      return op == Operator::kModulo ? modulo(a, b) : floor_divide(a, b);
  }
  if (overflow) too_large();
  return out;
}

double float_modulo(double a, double b) {
  const double rest = std::fmod(a, b);
  if (rest == 0) return std::copysign(0.0, b);
  return (rest < 0) != (b < 0) ? rest + b : rest;
}

Value float_power(double a, double b) {
  if (a == 0 && b < 0) throw Failure("0.0 cannot be raised to a negative power");
  if (a < 0 && std::isfinite(b) && b != std::floor(b)) throw Failure("a complex number");
  const double out = std::pow(a, b);
  if (std::isinf(out) && std::isfinite(a) && std::isfinite(b))
    throw Failure("Numerical result out of range");
  return out;
}

Value floats(Operator op, double a, double b) {
  switch (op) {
    case Operator::kAdd:
      return a + b;
    case Operator::kSubtract:
      return a - b;
    case Operator::kMultiply:
      return a * b;
    case Operator::kPower:
      return float_power(a, b);
    default:
      break;
  }
  if (b == 0) throw Failure(op == Operator::kDivide ? "float division by zero" : "float modulo");
  if (op == Operator::kDivide) return a / b;
  const double rest = float_modulo(a, b);
  if (op == Operator::kModulo) return rest;
  const double quotient = (a - rest) / b;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double floored = std::floor(quotient);
  return quotient - floored > 0.5 ? floored + 1.0 : floored;
}

Value repeat(const Value& value, int64_t times) {
  const auto count = static_cast<size_t>(std::max<int64_t>(times, 0));
  if (count > 0 && value.weight() > kMaxWeight / count) check_size(kMaxWeight + 1);
  if (const std::string* text = value.text()) {
    std::string out;
    out.reserve(text->size() * count);
    for (size_t i = 0; i < count && !text->empty(); ++i) out += *text;
    return value.is_markup() ? Value::markup(std::move(out)) : Value(std::move(out));
  }
  const List& list = *value.as_list();
  std::vector<Value> items;
  for (size_t i = 0; i < count && !list.items.empty(); ++i)
    items.insert(items.end(), list.items.begin(), list.items.end());
  return Value::list(std::move(items), list.kind);
}

// + of two texts: a side that is marked as safe makes the other one safe.
Value concatenate(const Value& a, const Value& b) {
  if (!a.is_markup() && !b.is_markup()) {
    check_size(a.text()->size() + b.text()->size());
    std::string out;
    out.reserve(a.text()->size() + b.text()->size());
    out += *a.text();
    out += *b.text();
    return out;
  }
  std::string out = escaped(a) + escaped(b);
  check_size(out.size());
  return Value::markup(std::move(out));
}

// What a safe text is filled with is escaped.
Value escaped_texts(const Value& value) {
  if (value.text()) return escaped(value);
  if (const List* list = value.as_list(); list && list->is(ListKind::kTuple)) {
    std::vector<Value> items;
    for (const Value& each : list->items) items.push_back(escaped_texts(each));
    return Value::tuple(std::move(items));
  }
  const Dict* dict = value.as_dict();
  if (!dict) return value;
  Dict out;
  for (const auto& [key, each] : dict->items) out.set(key, escaped_texts(each));
  return Value::dict(std::move(out));
}

bool repeats(const Value& value) {
  const List* list = value.as_list();
  return value.text() || (list && (list->is(ListKind::kList) || list->is(ListKind::kTuple)));
}

}  // namespace

Value negate(const Value& value) {
  if (const double* d = value.get<double>()) return -*d;
  if (value.is_integral()) return integers(Operator::kSubtract, 0, value.integer());
  if (const auto* undefined = value.get<Undefined>()) fail_undefined(*undefined);
  throw Failure(fmt::format("bad operand type for unary -: '{}'", value.type_name()));
}

Value plus(const Value& value) {
  if (value.get<double>() || value.get<BigInteger>()) return value;
  if (value.is_integral()) return value.integer();
  if (const auto* undefined = value.get<Undefined>()) fail_undefined(*undefined);
  throw Failure(fmt::format("bad operand type for unary +: '{}'", value.type_name()));
}

Value binary(Operator op, const Value& a, const Value& b) {
  if (op == Operator::kAdd && a.text() && b.text()) return concatenate(a, b);
  if (op == Operator::kModulo && a.text()) {
    if (!a.is_markup()) return percent_format(*a.text(), b);
    return Value::markup(percent_format(*a.text(), escaped_texts(b)));
  }
  if (a.is_number() && b.is_number()) {
    if (a.is_integral() && b.is_integral()) return integers(op, a.integer(), b.integer());
    if (a.get<BigInteger>() || b.get<BigInteger>()) too_large();
    return floats(op, a.number(), b.number());
  }
  const List *x = a.as_list(), *y = b.as_list();
  if (op == Operator::kAdd && x && y && x->kind == y->kind && repeats(a)) {
    std::vector<Value> items = x->items;
    items.insert(items.end(), y->items.begin(), y->items.end());
    return Value::list(std::move(items), x->kind);
  }
  if (op == Operator::kMultiply) {
    if (repeats(a) && b.is_integral()) return repeat(a, b.integer());
    if (repeats(b) && a.is_integral()) return repeat(b, a.integer());
  }
  no_operation(op, a, b);
}

}  // namespace tensormill::jinja
