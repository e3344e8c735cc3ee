#include <algorithm>

#include "base/error.h"
#include "tokenizer/jinja/evaluator.h"
#include "tokenizer/jinja/text.h"

namespace tensormill::jinja {

const Value* Evaluator::lookup(int name) const {
  for (const Scope* scope = scope_.get(); scope; scope = scope->parent.get()) {
    if (const Value* found = scope->find_here(name)) return found;
  }
  return nullptr;
}

Value Evaluator::eval_name(const Expr& expr) {
  const Value* found = lookup(expr.name);
  return found ? *found : Value::undefined_name(program_.names.text(expr.name));
}

Value Evaluator::eval(const Expr& expr) {
  const Level level(*this);
  charge(1);
  Value value = dispatch(expr);
  if (const std::string* text = value.text()) {
    check_size(text->size());
    charge(text->size() / 8);
  }
  return value;
}

// The value of a constant, a name or a member of a dict where it stands; null: eval() has to tell.
// It may be gone after the next eval().
const Value* Evaluator::peek(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kConstant:
      return &expr.constant;
    case ExprKind::kName:
      return lookup(expr.name);
    case ExprKind::kAttribute:
    case ExprKind::kItem:
      break;
    default:
      return nullptr;
  }
  const bool named = expr.kind == ExprKind::kAttribute;
  const Value* owner = peek(*expr.parts[0]);
  const Dict* dict = owner ? owner->as_dict() : nullptr;
  if (!dict) return nullptr;
  if (named) return is_plain_key(expr.text) ? dict->find_text(expr.text) : nullptr;
  const Expr& key = *expr.parts[1];
  const std::string* text = key.kind == ExprKind::kConstant ? key.constant.text() : nullptr;
  return text ? dict->find_text(*text) : nullptr;
}

// The value where it stands, or what `held` keeps of it.
const Value& Evaluator::seen(const Expr& expr, Value& held) {
  if (const Value* value = peek(expr)) {
    charge(1);
    line_ = expr.line;
    return *value;
  }
  held = eval(expr);
  return held;
}

bool Evaluator::truth_of(const Expr& expr) {
  Value held;
  return seen(expr, held).truth();
}

Value Evaluator::dispatch(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kConstant:
      return expr.constant;
    case ExprKind::kName:
      return eval_name(expr);
    case ExprKind::kList:
      return Value::list(eval_all(expr, 0));
    case ExprKind::kTuple:
      return Value::tuple(eval_all(expr, 0));
    case ExprKind::kDict:
      return eval_dict(expr);
    case ExprKind::kNot:
      return !truth_of(*expr.parts[0]);
    case ExprKind::kNegate:
    case ExprKind::kPlus: {
      const Value value = eval(*expr.parts[0]);
      line_ = expr.line;
      return expr.kind == ExprKind::kPlus ? plus(value) : negate(value);
    }
    case ExprKind::kAnd: {
      Value left = eval(*expr.parts[0]);
      return left.truth() ? eval(*expr.parts[1]) : left;
    }
    case ExprKind::kOr: {
      Value left = eval(*expr.parts[0]);
      return left.truth() ? left : eval(*expr.parts[1]);
    }
    case ExprKind::kCondition:
      if (truth_of(*expr.parts[1])) return eval(*expr.parts[0]);
      return expr.parts[2] ? eval(*expr.parts[2])
                           : Value::undefined("the inline if has no else and was false");
    case ExprKind::kBinary:
      return eval_binary(expr);
    case ExprKind::kConcat:
      return eval_concat(expr);
    case ExprKind::kCompare:
      return eval_compare(expr);
    case ExprKind::kAttribute:
      return eval_attribute(expr);
    case ExprKind::kItem:
      return eval_item(expr);
    case ExprKind::kSlice:
      return eval_slice(expr);
    case ExprKind::kCall:
      return eval_call(expr, nullptr);
    case ExprKind::kFilter:
      return eval_filter(expr);
    case ExprKind::kTest:
      return eval_test(expr);
  }
  return {};
}

std::vector<Value> Evaluator::eval_all(const Expr& expr, size_t begin) {
  std::vector<Value> values;
  values.reserve(expr.parts.size() - begin);
  for (size_t i = begin; i < expr.parts.size(); ++i) values.push_back(eval(*expr.parts[i]));
  line_ = expr.line;
  return values;
}

Arguments Evaluator::eval_arguments(const Expr& expr) {
  Arguments arguments{eval_all(expr, 1), {}};
  for (const auto& [name, value] : expr.named) arguments.named.emplace_back(name, eval(*value));
  if (expr.more_parts) {
    const Value more = eval(*expr.more_parts);
    charge(cost(more));
    for (Value& each : iterate(more)) arguments.positional.push_back(std::move(each));
  }
  if (expr.more_named) {
    const Value more = eval(*expr.more_named);
    const Dict* dict = more.as_dict();
    if (!dict) throw Failure("argument after ** must be a mapping");
    charge(cost(more));
    for (const auto& [key, value] : dict->items) {
      if (!key.text()) throw Failure("keywords must be strings");
      arguments.named.emplace_back(*key.text(), value);
    }
  }
  line_ = expr.line;
  return arguments;
}

Value Evaluator::eval_dict(const Expr& expr) {
  const std::vector<Value> values = eval_all(expr, 0);
  Dict dict;
  for (size_t i = 0; i < values.size(); i += 2) {
    check_hashable(values[i]);
    dict.set(values[i], values[i + 1]);
  }
  return Value::dict(std::move(dict));
}

// Keys of a dict are searched one after the other: a large one costs what it takes.
void Evaluator::charge_search(const Value& container) {
  if (const Dict* dict = container.as_dict(); dict && dict->items.size() > 32)
    charge(dict->items.size() / 16);
}

Value Evaluator::eval_attribute(const Expr& expr) {
  Value held;
  const Value& owner = seen(*expr.parts[0], held);
  line_ = expr.line;
  charge_search(owner);
  return attribute(owner, expr.text);
}

Value Evaluator::eval_item(const Expr& expr) {
  const Value owner = eval(*expr.parts[0]);
  Value held;
  const Value& key = seen(*expr.parts[1], held);
  line_ = expr.line;
  charge_search(owner);
  if (owner.text()) charge(cost(owner));
  return item(owner, key);
}

Value Evaluator::eval_concat(const Expr& expr) {
  std::string out;
  for (const ExprPtr& part : expr.parts) {
    const Value value = eval(*part);
    if (const std::string* text = value.text()) {
      out += *text;
    } else {
      out += to_text(value);
    }
    check_size(out.size());
  }
  line_ = expr.line;
  return out;
}

static bool is_sum(const Expr& expr) {
  return expr.kind == ExprKind::kBinary && expr.operators[0] == Operator::kAdd;
}

// Appends a sum of texts, of which out has the first from `begin` on. False: it is none, and
// `other` its value; `out` then ends at `begin`.
bool Evaluator::add_sum(const Expr& expr, std::string& out, size_t begin, Value& other) {
  const Level level(*this);
  const bool first = !is_sum(expr);
  const bool grows = first || add_sum(*expr.parts[0], out, begin, other);
  Value held;
  const Value& part = seen(first ? expr : *expr.parts[1], held);
  const auto* text = part.get<Value::Text>();
  if (grows && text) {
    append(out, std::string_view(**text));
    return true;
  }
  line_ = expr.line;
  if (first) {
    other = part;
    return false;
  }
  if (grows) {
    other = std::string_view(out).substr(begin);
    out.resize(begin);
  }
  other = binary(Operator::kAdd, other, part);
  charge(other.as_list() ? 4 * cost(other) : cost(other));
  return false;
}

// What {{ }} shows.
void Evaluator::append(std::string& out, const Expr& expr) {
  if (is_sum(expr)) {
    Value other;
    if (!add_sum(expr, out, out.size(), other)) append(out, other);
    return;
  }
  Value held;
  append(out, seen(expr, held));
}

Value Evaluator::eval_binary(const Expr& expr) {
  if (is_sum(expr)) {
    Value other;
    std::string text;
    return add_sum(expr, text, 0, other) ? Value(std::move(text)) : other;
  }
  const Value left = eval(*expr.parts[0]), right = eval(*expr.parts[1]);
  line_ = expr.line;
  Value value = binary(expr.operators[0], left, right);
  charge(value.as_list() ? 4 * cost(value) : cost(value));
  return value;
}

Value Evaluator::eval_compare(const Expr& expr) {
  if (expr.operators.size() == 1) {
    const Value* left = peek(*expr.parts[0]);
    const Value* right = left ? peek(*expr.parts[1]) : nullptr;
    if (right) {
      charge(2);
      line_ = expr.line;
      return compare_values(expr.operators[0], *left, *right);
    }
  }
  Value left = eval(*expr.parts[0]);
  for (size_t i = 0; i < expr.operators.size(); ++i) {
    Value right = eval(*expr.parts[i + 1]);
    line_ = expr.line;
    if (!compare_values(expr.operators[i], left, right)) return false;
    left = std::move(right);
  }
  return true;
}

bool Evaluator::compare_values(Operator op, const Value& left, const Value& right) {
  if (op == Operator::kIn || op == Operator::kNotIn) {
    charge(right.as_list() ? right.weight() / 8 : cost(right));
    return contains(right, left) == (op == Operator::kIn);
  }
  charge(std::min(left.weight(), right.weight()) / 8);
  switch (op) {
    case Operator::kEqual:
      return equal(left, right);
    case Operator::kUnequal:
      return !equal(left, right);
    case Operator::kLess:
      return compare(left, right, "<") < 0;
    case Operator::kAtMost:
      return compare(left, right, "<=") <= 0;
    case Operator::kMore:
      return compare(left, right, ">") > 0;
    default:
      return compare(left, right, ">=") >= 0;
  }
}

static bool can_be_sliced(const Value& value, std::span<const Value> bounds) {
  const bool has_parts = value.text() || (value.as_list() && value.as_list()->has_elements());
  return (has_parts || value.is_undefined()) &&
         std::all_of(bounds.begin(), bounds.end(),
                     [](const Value& b) { return b.is_none() || b.is_integral(); });
}

Value Evaluator::eval_slice(const Expr& expr) {
  const Value value = eval(*expr.parts[0]);
  Value bounds[3] = {None{}, None{}, None{}};
  for (size_t i = 0; i < 3; ++i) {
    if (expr.parts[i + 1]) bounds[i] = eval(*expr.parts[i + 1]);
  }
  line_ = expr.line;
  charge(cost(value));
  if (expr.computed_early && !can_be_sliced(value, bounds))
    return Value::undefined(fmt::format("{} object has no such element", value.type_name()));
  return slice(value, bounds[0], bounds[1], bounds[2]);
}

// Tests that compare values or write them out.
void Evaluator::charge_test(const TestRow& test, const Value& value, const Arguments& arguments) {
  if (test.operands == 0) {
    if (test.name == "lower" || test.name == "upper") charge(value.weight() / 8);
  } else if (!arguments.positional.empty()) {
    const Value& other = arguments.positional[0];
    const bool searched = test.name == "in";
    charge((searched ? other.weight() : std::min(value.weight(), other.weight())) / 8);
  }
}

Value Evaluator::eval_test(const Expr& expr) {
  const Value value = eval(*expr.parts[0]);
  const Arguments arguments = eval_arguments(expr);
  line_ = expr.line;
  if (!expr.test) throw Failure(fmt::format("No test named '{}' found.", expr.text));
  charge_test(*expr.test, value, arguments);
  return apply_test(*expr.test, value, arguments);
}

Value Evaluator::eval_call(const Expr& expr, const MacroDefinition* caller) {
  const Expr& callee = *expr.parts[0];
  Value value;
  if (callee.kind == ExprKind::kAttribute) {
    const Level level(*this);
    const Value owner = eval(*callee.parts[0]);
    if (const MethodRow* row = find_method(owner, callee.text); row && !caller) {
      value = call_method(*row, owner, eval_arguments(expr), *this);
      charge(cost(value));
      return value;
    }
    line_ = callee.line;
    charge_search(owner);
    value = attribute(owner, callee.text);
  } else {
    value = eval(callee);
  }
  Arguments arguments = eval_arguments(expr);
  if (caller) arguments.named.emplace_back("caller", make_macro(*caller));
  value = call(value, std::move(arguments));
  charge(cost(value));
  return value;
}

void Evaluator::charge_filter(const Expr& expr, const Value& value) {
  const bool counts = expr.text == "length" || expr.text == "count";
  if (counts && !value.text()) return;
  // The characters of a text become values of their own.
  constexpr size_t kUnitsOfCharacter = 8;
  charge(value.text() && takes_items(expr.filter) ? kUnitsOfCharacter * value.text()->size()
                                                  : cost(value));
}

Value Evaluator::filtered(const Expr& expr, const Value& value) {
  const Arguments arguments = eval_arguments(expr);
  charge_filter(expr, value);
  if (!expr.filter) throw Failure(fmt::format("No filter named '{}' found.", expr.text));
  Value result = apply_filter(*expr.filter, value, arguments, *this);
  charge(cost(result));
  return result;
}

Value Evaluator::eval_filter(const Expr& expr) {
  if (expr.parts.size() > 1 || !expr.named.empty() || expr.more_parts || expr.more_named)
    return filtered(expr, eval(*expr.parts[0]));
  Value held;  // no argument that could let the value go
  return filtered(expr, seen(*expr.parts[0], held));
}

// A chain of filters whose innermost value is a block's text.
Value Evaluator::eval_filters(const Expr& expr, Value text) {
  if (expr.parts[0]) text = eval_filters(*expr.parts[0], std::move(text));
  return filtered(expr, text);
}

}  // namespace tensormill::jinja
