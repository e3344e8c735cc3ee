// The tests of the language: "x is defined".
#include <algorithm>

#include "base/error.h"
#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/text.h"

namespace tensormill::jinja {
namespace {

using Args = const Arguments&;

bool is_defined(const Value& v, Args) {
  return !v.is_undefined();
}
bool is_undefined(const Value& v, Args) {
  return v.is_undefined();
}
bool is_none(const Value& v, Args) {
  return v.is_none();
}
bool is_boolean(const Value& v, Args) {
  return v.get<bool>() != nullptr;
}
bool is_true(const Value& v, Args) {
  return v.get<bool>() && v.truth();
}
bool is_false(const Value& v, Args) {
  return v.get<bool>() && !v.truth();
}
bool is_integer(const Value& v, Args) {
  return v.get<int64_t>() || v.get<BigInteger>();
}
bool is_float(const Value& v, Args) {
  return v.get<double>() != nullptr;
}
bool is_number(const Value& v, Args) {
  return v.is_number();
}
bool is_string(const Value& v, Args) {
  return v.text() != nullptr;
}
bool is_mapping(const Value& v, Args) {
  return v.as_dict() != nullptr;
}
bool is_sequence(const Value& v, Args) {
  return v.text() || (v.as_list() && v.as_list()->has_elements()) || v.as_dict() ||
         v.is_undefined();
}
bool can_be_looped(const Value& v, Args) {
  return is_iterable(v);
}
bool is_escaped(const Value& v, Args) {
  return v.is_markup();
}
bool is_filter(const Value& v, Args) {
  return v.text() && find_filter(*v.text());
}
bool is_test(const Value& v, Args) {
  return v.text() && find_test(*v.text());
}
bool is_callable(const Value& v, Args) {
  return v.is_callable();
}
bool divides(const Value& v, const Value& by) {
  return equal(binary(Operator::kModulo, v, by), Value(int64_t{0}));
}
bool is_even(const Value& v, Args) {
  return divides(v, Value(int64_t{2}));
}
bool is_odd(const Value& v, Args) {
  return equal(binary(Operator::kModulo, v, Value(int64_t{2})), Value(int64_t{1}));
}
bool is_divisible(const Value& v, Args args) {
  return divides(v, args.require(0, "num"));
}
bool is_equal(const Value& v, Args args) {
  return equal(v, args.require(0, "other"));
}
bool is_unequal(const Value& v, Args args) {
  return !equal(v, args.require(0, "other"));
}
bool is_less(const Value& v, Args args) {
  return compare(v, args.require(0, "other"), "<") < 0;
}
bool is_most(const Value& v, Args args) {
  return compare(v, args.require(0, "other"), "<=") <= 0;
}
bool is_more(const Value& v, Args args) {
  return compare(v, args.require(0, "other"), ">") > 0;
}
bool is_least(const Value& v, Args args) {
  return compare(v, args.require(0, "other"), ">=") >= 0;
}
bool is_in(const Value& v, Args args) {
  return contains(args.require(0, "seq"), v);
}
bool has_small_letters(const Value& v, Args) {
  return is_lower(to_text(v));
}
bool has_large_letters(const Value& v, Args) {
  return is_upper(to_text(v));
}
bool is_same(const Value& v, Args args) {
  const Value& other = args.require(0, "other");
  return v.data().index() == other.data().index() && equal(v, other);
}

constexpr TestRow kTests[] = {
    {"boolean", is_boolean, 0},
    {"callable", is_callable, 0},
    {"defined", is_defined, 0},
    {"divisibleby", is_divisible, 1},
    {"eq", is_equal, 1},
    {"equalto", is_equal, 1},
    {"==", is_equal, 1},
    {"escaped", is_escaped, 0},
    {"even", is_even, 0},
    {"false", is_false, 0},
    {"filter", is_filter, 0},
    {"float", is_float, 0},
    {"ge", is_least, 1},
    {">=", is_least, 1},
    {"gt", is_more, 1},
    {"greaterthan", is_more, 1},
    {">", is_more, 1},
    {"in", is_in, 1},
    {"integer", is_integer, 0},
    {"iterable", can_be_looped, 0},
    {"le", is_most, 1},
    {"<=", is_most, 1},
    {"lessthan", is_less, 1},
    {"lower", has_small_letters, 0},
    {"lt", is_less, 1},
    {"<", is_less, 1},
    {"mapping", is_mapping, 0},
    {"ne", is_unequal, 1},
    {"!=", is_unequal, 1},
    {"none", is_none, 0},
    {"number", is_number, 0},
    {"odd", is_odd, 0},
    {"sameas", is_same, 1},
    {"sequence", is_sequence, 0},
    {"string", is_string, 0},
    {"test", is_test, 0},
    {"true", is_true, 0},
    {"undefined", is_undefined, 0},
    {"upper", has_large_letters, 0},
};

}  // namespace

const TestRow* find_test(std::string_view name) {
  const auto* row = std::find_if(std::begin(kTests), std::end(kTests),
                                 [name](const TestRow& r) { return r.name == name; });
  return row == std::end(kTests) ? nullptr : row;
}

bool apply_test(const TestRow& row, const Value& value, const Arguments& arguments) {
  const size_t given = arguments.positional.size() + arguments.named.size();
  if (given != static_cast<size_t>(row.operands)) {
    throw Failure(
        fmt::format("test {}() takes {} arguments ({} given)", row.name, row.operands, given));
  }
  return row.holds(value, arguments);
}

}  // namespace tensormill::jinja
