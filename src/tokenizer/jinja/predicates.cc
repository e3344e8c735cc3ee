// The tests of the language: "x is defined".
#include <algorithm>

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
  return v.get<int64_t>() != nullptr;
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
  return v.text() || v.as_list() || v.as_dict() || v.is_undefined();
}
bool is_iterable(const Value& v, Args) {
  return v.text() || v.as_list() || v.as_dict() || v.is_undefined();
}
bool is_callable(const Value& v, Args) {
  return v.is_callable();
}
bool is_even(const Value& v, Args) {
  return v.integer() % 2 == 0;
}
bool is_odd(const Value& v, Args) {
  return v.integer() % 2 != 0;
}
bool is_divisible(const Value& v, Args args) {
  const int64_t by = args.require(0, "num").integer();
  if (by == 0) throw Failure("integer modulo by zero");
  return by == -1 || v.integer() % by == 0;
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
bool is_lower(const Value& v, Args) {
  return v.text() && lower(*v.text()) == *v.text();
}
bool is_upper(const Value& v, Args) {
  return v.text() && upper(*v.text()) == *v.text();
}
bool is_same(const Value& v, Args args) {
  const Value& other = args.require(0, "other");
  return v.data().index() == other.data().index() && equal(v, other);
}

struct TestRow {
  std::string_view name;
  Test test;
};
constexpr TestRow kTests[] = {
    {"boolean", is_boolean},
    {"callable", is_callable},
    {"defined", is_defined},
    {"divisibleby", is_divisible},
    {"eq", is_equal},
    {"equalto", is_equal},
    {"==", is_equal},
    {"even", is_even},
    {"false", is_false},
    {"float", is_float},
    {"ge", is_least},
    {">=", is_least},
    {"gt", is_more},
    {"greaterthan", is_more},
    {">", is_more},
    {"in", is_in},
    {"integer", is_integer},
    {"iterable", is_iterable},
    {"le", is_most},
    {"<=", is_most},
    {"lessthan", is_less},
    {"lower", is_lower},
    {"lt", is_less},
    {"<", is_less},
    {"mapping", is_mapping},
    {"ne", is_unequal},
    {"!=", is_unequal},
    {"none", is_none},
    {"number", is_number},
    {"odd", is_odd},
    {"sameas", is_same},
    {"sequence", is_sequence},
    {"string", is_string},
    {"true", is_true},
    {"undefined", is_undefined},
    {"upper", is_upper},
};

}  // namespace

Test find_test(std::string_view name) {
  const auto* row = std::find_if(std::begin(kTests), std::end(kTests),
                                 [name](const TestRow& r) { return r.name == name; });
  return row == std::end(kTests) ? nullptr : row->test;
}

}  // namespace tensormill::jinja
