#include "tokenizer/jinja/interpreter.h"

#include <algorithm>
#include <array>
#include <ctime>

#include "base/error.h"
#include "base/json.h"
#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/text.h"

namespace tensormill::jinja {

struct Scope {
  std::vector<std::pair<std::string, Value>> names;
  std::shared_ptr<Scope> parent;

  const Value* find_here(std::string_view name) const {
    for (const auto& [key, value] : names) {
      if (key == name) return &value;
    }
    return nullptr;
  }
  void set(const std::string& name, Value value) {
    if (const Value* found = find_here(name)) {
      *const_cast<Value*>(found) = std::move(value);
    } else {
      names.emplace_back(name, std::move(value));
    }
  }
};

namespace {

using ScopePtr = std::shared_ptr<Scope>;

constexpr int kMaxDepth = 400;                 // of expressions, blocks and calls in each other
constexpr size_t kMaxUnits = size_t{1} << 26;  // steps, and 8 bytes of text each
constexpr int64_t kMaxRange = 100000;

enum class Flow : uint8_t { kOn, kBreak, kContinue };

class Interpreter final : public Runtime {
 public:
  explicit Interpreter(const OrderedJson& variables) : scope_(std::make_shared<Scope>()) {
    static constexpr std::pair<const char*, Builtin> kBuiltins[] = {
        {"range", Builtin::kRange},
        {"namespace", Builtin::kNamespace},
        {"dict", Builtin::kDict},
        {"raise_exception", Builtin::kRaiseException},
        {"strftime_now", Builtin::kStrftimeNow}};
    for (const auto& [name, builtin] : kBuiltins) scope_->set(name, Value(Value::Data(builtin)));
    if (!variables.is_object()) throw Failure("the variables must be an object");
    for (const auto& [name, value] : variables.items()) scope_->set(name, Value::from_json(value));
  }

  // Namespaces and the scopes of macros may hold each other.
  ~Interpreter() override {
    for (const auto& names : namespaces_) names->attributes.items.clear();
    for (const auto& scope : captured_) {
      scope->names.clear();
      scope->parent.reset();
    }
  }

  std::string run(const Block& block) {
    std::string out;
    execute(block, out);
    return out;
  }

  int line() const { return line_; }

  void charge(size_t units) override {
    if (units > kMaxUnits - used_) throw Failure("the template takes too much time or memory");
    used_ += units;
  }

  Value call(const Value& callee, Arguments arguments) override {
    if (const auto* macro = callee.get<std::shared_ptr<const Macro>>())
      return call_macro(**macro, std::move(arguments));
    if (const auto* method = callee.get<std::shared_ptr<const Method>>())
      return call_method(**method, arguments, *this);
    if (const auto* builtin = callee.get<Builtin>()) return call_builtin(*builtin, arguments);
    if (const auto* undefined = callee.get<Undefined>()) throw Failure(undefined->reason);
    throw Failure(fmt::format("'{}' object is not callable", callee.type_name()));
  }

 private:
  // Counts nesting, and puts back the scope.
  class Level {
   public:
    explicit Level(Interpreter& in) : in_(in), scope_(in.scope_) {
      if (in_.depth_ >= kMaxDepth) throw Failure("the template nests too deep");
      ++in_.depth_;
    }
    ~Level() {
      --in_.depth_;
      in_.scope_ = std::move(scope_);
    }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Interpreter& in_;
    ScopePtr scope_;
  };

  void push_scope(ScopePtr parent) {
    charge(8);
    auto scope = std::make_shared<Scope>();
    scope->parent = std::move(parent);
    scope_ = std::move(scope);
  }

  // ---- statements

  Flow execute(const Block& block, std::string& out) {
    for (const auto& stmt : block) {
      const Flow flow = execute(*stmt, out);
      if (flow != Flow::kOn) return flow;
    }
    return Flow::kOn;
  }

  void append(std::string& out, std::string_view text) {
    charge(1 + text.size() / 8);
    check_size(out.size() + text.size());
    out += text;
  }

  Flow execute(const Stmt& stmt, std::string& out) {
    const Level level(*this);
    line_ = stmt.line;
    switch (stmt.kind) {
      case StmtKind::kText:
        append(out, stmt.text);
        return Flow::kOn;
      case StmtKind::kOutput:
        append(out, to_text(eval(*stmt.value)));
        return Flow::kOn;
      case StmtKind::kIf:
        return execute_if(stmt, out);
      case StmtKind::kFor:
        return execute_for(stmt, out);
      case StmtKind::kBreak:
        return Flow::kBreak;
      case StmtKind::kContinue:
        return Flow::kContinue;
      case StmtKind::kMacro:
        scope_->set(stmt.macro->name, make_macro(*stmt.macro));
        return Flow::kOn;
      case StmtKind::kSet:
        assign(stmt.target, eval(*stmt.value));
        return Flow::kOn;
      case StmtKind::kSetBlock: {
        Value value = capture(stmt.body);
        assign(stmt.target, stmt.value ? eval_filters(*stmt.value, std::move(value)) : value);
        return Flow::kOn;
      }
      case StmtKind::kFilter:
        append(out, to_text(eval_filters(*stmt.value, capture(stmt.body))));
        return Flow::kOn;
      case StmtKind::kCall:
        append(out, to_text(eval_call(*stmt.value, stmt.macro.get())));
        return Flow::kOn;
      case StmtKind::kWith: {
        std::vector<Value> values;
        for (const auto& [target, value] : stmt.assignments) values.push_back(eval(*value));
        push_scope(scope_);
        for (size_t i = 0; i < values.size(); ++i) assign(stmt.assignments[i].first, values[i]);
        return execute(stmt.body, out);
      }
      case StmtKind::kScope:
        push_scope(scope_);
        return execute(stmt.body, out);
    }
    return Flow::kOn;
  }

  Flow execute_if(const Stmt& stmt, std::string& out) {
    const Stmt* at = &stmt;
    while (!eval(*at->condition).truth()) {
      if (at->otherwise.size() != 1 || at->otherwise[0]->kind != StmtKind::kIf)
        return execute(at->otherwise, out);
      at = at->otherwise[0].get();
      line_ = at->line;
    }
    return execute(at->body, out);
  }

  Flow execute_for(const Stmt& stmt, std::string& out) {
    const Value iterated = eval(*stmt.value);
    charge(cost(iterated));
    std::vector<Value> items = iterate(iterated);
    const ScopePtr outer = scope_;
    if (stmt.condition) {
      std::vector<Value> kept;
      for (Value& each : items) {
        push_scope(outer);
        assign(stmt.target, each);
        if (eval(*stmt.condition).truth()) kept.push_back(std::move(each));
      }
      scope_ = outer;
      items = std::move(kept);
    }
    if (items.empty()) return execute(stmt.otherwise, out);
    int depth = 0;
    for (const Value& each : items) depth = std::max(depth, each.depth());
    LoopState state;
    state.depth = checked_depth(depth);
    state.items = std::make_shared<const std::vector<Value>>(std::move(items));
    for (size_t i = 0; i < state.items->size(); ++i) {
      state.index = i;
      push_scope(outer);
      assign(stmt.target, (*state.items)[i]);
      scope_->set("loop", Value(Value::Data(std::make_shared<const LoopState>(state))));
      if (execute(stmt.body, out) == Flow::kBreak) break;
    }
    return Flow::kOn;
  }

  void assign(const Target& target, const Value& value) {
    if (!target.items.empty()) {
      charge(cost(value));
      const std::vector<Value> items = iterate(value);
      if (items.size() != target.items.size()) {
        throw Failure(
            fmt::format("expected {} values to unpack, got {}", target.items.size(), items.size()));
      }
      for (size_t i = 0; i < items.size(); ++i) assign(target.items[i], items[i]);
    } else if (target.attribute.empty()) {
      scope_->set(target.name, value);
    } else {
      const Value owner = lookup(target.name);
      const auto* names = owner.get<std::shared_ptr<Namespace>>();
      if (!names) throw Failure("cannot assign attribute on non-namespace object");
      (*names)->attributes.set(target.attribute, value);
    }
  }

  std::string capture(const Block& body) {
    const Level level(*this);
    push_scope(scope_);
    std::string text;
    execute(body, text);
    return text;
  }

  // ---- calls

  Value make_macro(const MacroDefinition& definition) {
    charge(8);
    captured_.push_back(scope_);
    return Value(Value::Data(std::make_shared<const Macro>(Macro{&definition, scope_})));
  }

  Value call_macro(const Macro& macro, Arguments arguments) {
    const Level level(*this);
    const MacroDefinition& definition = *macro.definition;
    push_scope(macro.scope);
    const ScopePtr scope = scope_;
    const auto& parameters = definition.parameters;
    if (arguments.positional.size() > parameters.size()) {
      throw Failure(fmt::format("macro '{}' takes not more than {} argument(s)", definition.name,
                                parameters.size()));
    }
    scope->set("caller", Value::undefined("No caller defined"));
    for (auto& [name, value] : arguments.named) {
      const auto known = [&name = name](const auto& p) { return p.first == name; };
      if (name != "caller" && std::none_of(parameters.begin(), parameters.end(), known)) {
        throw Failure(
            fmt::format("macro '{}' takes no keyword argument '{}'", definition.name, name));
      }
      scope->set(name, std::move(value));
    }
    for (size_t i = 0; i < parameters.size(); ++i) {
      const auto& [name, otherwise] = parameters[i];
      if (i < arguments.positional.size()) {
        scope->set(name, std::move(arguments.positional[i]));
      } else if (!scope->find_here(name)) {
        scope->set(name, otherwise ? eval(*otherwise)
                                   : Value::undefined(
                                         fmt::format("parameter '{}' was not provided", name)));
      }
    }
    std::string out;
    execute(definition.body, out);
    return out;
  }

  Value call_builtin(Builtin builtin, const Arguments& arguments) {
    switch (builtin) {
      case Builtin::kRange:
        return range(arguments);
      case Builtin::kDict:
        return Value::dict(make_dict(arguments));
      case Builtin::kNamespace: {
        charge(16);
        auto names = std::make_shared<Namespace>(Namespace{make_dict(arguments)});
        namespaces_.push_back(names);
        return Value(Value::Data(std::move(names)));
      }
      case Builtin::kRaiseException:
        throw Failure(to_text(arguments.require(0, "message")));
      case Builtin::kStrftimeNow:
        return time_text(arguments.text(0, "format", ""));
    }
    return {};
  }

  Value range(const Arguments& arguments) {
    int64_t start = 0, stop = arguments.require(0, "stop").integer();
    const int64_t step = arguments.integer(2, "step", 1);
    if (arguments.positional.size() > 1) {
      start = stop;
      stop = arguments.positional[1].integer();
    }
    if (step == 0) throw Failure("range() arg 3 must not be zero");
    constexpr int64_t kLimit = int64_t{1} << 40;
    if (std::max({std::abs(start / 2), std::abs(stop / 2), std::abs(step / 2)}) > kLimit)
      throw Failure("range(): a number too large");
    const int64_t span = step > 0 ? stop - start : start - stop;
    const int64_t stride = step > 0 ? step : -step;
    const int64_t count = span <= 0 ? 0 : (span - 1) / stride + 1;
    if (count > kMaxRange) {
      throw Failure(fmt::format("Range too big. The limit for ranges is {} items", kMaxRange));
    }
    charge(static_cast<size_t>(count));
    std::vector<Value> items;
    items.reserve(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) items.emplace_back(start + i * step);
    return Value::list(std::move(items));
  }

  static Dict make_dict(const Arguments& arguments) {
    Dict dict;
    if (!arguments.positional.empty()) {
      if (const Dict* other = arguments.positional[0].as_dict()) {
        dict = *other;
      } else {
        for (const Value& pair : iterate(arguments.positional[0])) {
          const std::vector<Value> parts = iterate(pair);
          if (parts.size() != 2) throw Failure("dict(): expected pairs of key and value");
          dict.set(parts[0], parts[1]);
        }
      }
    }
    for (const auto& [name, value] : arguments.named) dict.set(name, value);
    return dict;
  }

  static std::string time_text(const std::string& format) {
    if (format.size() > 256) throw Failure("strftime_now: format of more than 256 bytes");
    const std::time_t now = std::time(nullptr);
    std::tm local{};
    localtime_r(&now, &local);
    std::array<char, 8192> buffer{};
    const size_t n = std::strftime(buffer.data(), buffer.size(), format.c_str(), &local);
    std::string text(buffer.data(), n);
    return is_utf8(text) ? text : std::string();
  }

  // ---- expressions

  Value lookup(const std::string& name) const {
    for (const Scope* scope = scope_.get(); scope; scope = scope->parent.get()) {
      if (const Value* found = scope->find_here(name)) return *found;
    }
    return Value::undefined(fmt::format("'{}' is undefined", name));
  }

  Value eval(const Expr& expr) {
    const Level level(*this);
    charge(1);
    Value value = dispatch(expr);
    if (value.text()) charge(value.text()->size() / 8);
    return value;
  }

  Value dispatch(const Expr& expr) {
    switch (expr.kind) {
      case ExprKind::kConstant:
        return expr.constant;
      case ExprKind::kName:
        return lookup(expr.text);
      case ExprKind::kList:
      case ExprKind::kTuple:
        return Value::list(eval_all(expr, 0), expr.kind == ExprKind::kTuple);
      case ExprKind::kDict:
        return eval_dict(expr);
      case ExprKind::kNot:
        return !eval(*expr.parts[0]).truth();
      case ExprKind::kNegate:
        return at(expr, binary("*", eval(*expr.parts[0]), int64_t{-1}));
      case ExprKind::kPlus:
        return at(expr, binary("*", eval(*expr.parts[0]), int64_t{1}));
      case ExprKind::kAnd: {
        Value left = eval(*expr.parts[0]);
        return left.truth() ? eval(*expr.parts[1]) : left;
      }
      case ExprKind::kOr: {
        Value left = eval(*expr.parts[0]);
        return left.truth() ? left : eval(*expr.parts[1]);
      }
      case ExprKind::kCondition:
        if (eval(*expr.parts[1]).truth()) return eval(*expr.parts[0]);
        return expr.parts[2] ? eval(*expr.parts[2])
                             : Value::undefined("the inline if has no else and was false");
      case ExprKind::kBinary:
        return eval_binary(expr);
      case ExprKind::kConcat:
        return join_texts(eval_all(expr, 0), "");
      case ExprKind::kCompare:
        return eval_compare(expr);
      case ExprKind::kAttribute: {
        const Value owner = eval(*expr.parts[0]);
        line_ = expr.line;
        return attribute(owner, expr.text);
      }
      case ExprKind::kItem: {
        const Value owner = eval(*expr.parts[0]), key = eval(*expr.parts[1]);
        line_ = expr.line;
        return item(owner, key);
      }
      case ExprKind::kSlice:
        return eval_slice(expr);
      case ExprKind::kCall:
        return eval_call(expr, nullptr);
      case ExprKind::kFilter:
        return apply_filter(expr, eval(*expr.parts[0]));
      case ExprKind::kTest: {
        const Value value = eval(*expr.parts[0]);
        const Arguments arguments = eval_arguments(expr);
        line_ = expr.line;
        return find_test(expr.text)(value, arguments);
      }
    }
    return {};
  }

  // The line of errors from here on is the operator's, not its operands'.
  Value at(const Expr& expr, Value value) {
    line_ = expr.line;
    return value;
  }

  std::vector<Value> eval_all(const Expr& expr, size_t begin) {
    std::vector<Value> values;
    for (size_t i = begin; i < expr.parts.size(); ++i) values.push_back(eval(*expr.parts[i]));
    line_ = expr.line;
    return values;
  }

  Arguments eval_arguments(const Expr& expr) {
    Arguments arguments{eval_all(expr, 1), {}};
    for (const auto& [name, value] : expr.named) arguments.named.emplace_back(name, eval(*value));
    line_ = expr.line;
    return arguments;
  }

  Value eval_dict(const Expr& expr) {
    const std::vector<Value> values = eval_all(expr, 0);
    Dict dict;
    for (size_t i = 0; i < values.size(); i += 2) {
      if (values[i].as_list() || values[i].as_dict())
        throw Failure(fmt::format("unhashable type: '{}'", values[i].type_name()));
      dict.set(values[i], values[i + 1]);
    }
    return Value::dict(std::move(dict));
  }

  Value eval_binary(const Expr& expr) {
    const Value left = eval(*expr.parts[0]), right = eval(*expr.parts[1]);
    line_ = expr.line;
    Value value = binary(expr.text, left, right);
    charge(cost(value));
    return value;
  }

  Value eval_compare(const Expr& expr) {
    Value left = eval(*expr.parts[0]);
    for (size_t i = 0; i < expr.operators.size(); ++i) {
      Value right = eval(*expr.parts[i + 1]);
      line_ = expr.line;
      if (!compare_values(expr.operators[i], left, right)) return false;
      left = std::move(right);
    }
    return true;
  }

  bool compare_values(const std::string& op, const Value& left, const Value& right) {
    if (op == "in" || op == "not in") {
      charge(right.as_list() ? right.weight() / 8 : cost(right));
      return contains(right, left) == (op == "in");
    }
    charge(std::min(left.weight(), right.weight()) / 8);
    if (op == "==") return equal(left, right);
    if (op == "!=") return !equal(left, right);
    const int order = compare(left, right, op);
    if (op == "<") return order < 0;
    if (op == "<=") return order <= 0;
    if (op == ">") return order > 0;
    return order >= 0;
  }

  Value eval_slice(const Expr& expr) {
    const Value value = eval(*expr.parts[0]);
    Value bounds[3] = {None{}, None{}, None{}};
    for (size_t i = 0; i < 3; ++i) {
      if (expr.parts[i + 1]) bounds[i] = eval(*expr.parts[i + 1]);
    }
    line_ = expr.line;
    charge(cost(value));
    return slice(value, bounds[0], bounds[1], bounds[2]);
  }

  Value eval_call(const Expr& expr, const MacroDefinition* caller) {
    const Value callee = eval(*expr.parts[0]);
    Arguments arguments = eval_arguments(expr);
    if (caller) arguments.named.emplace_back("caller", make_macro(*caller));
    Value value = call(callee, std::move(arguments));
    charge(cost(value));
    return value;
  }

  Value apply_filter(const Expr& expr, const Value& value) {
    const Arguments arguments = eval_arguments(expr);
    charge(cost(value));
    Value result = find_filter(expr.text)(value, arguments, *this);
    charge(cost(result));
    return result;
  }

  // A chain of filters whose innermost value is a block's text.
  Value eval_filters(const Expr& expr, Value text) {
    if (expr.parts[0]) text = eval_filters(*expr.parts[0], std::move(text));
    return apply_filter(expr, text);
  }

  ScopePtr scope_;
  std::vector<std::shared_ptr<Namespace>> namespaces_;
  std::vector<ScopePtr> captured_;
  size_t used_ = 0;
  int depth_ = 0, line_ = 1;
};

}  // namespace

std::string interpret(const Block& program, const OrderedJson& variables) {
  int line = 1;
  try {
    Interpreter interpreter(variables);
    try {
      return interpreter.run(program);
    } catch (const Failure&) {
      line = interpreter.line();
      throw;
    }
  } catch (const Failure& failure) {
    throw_error(ErrorKind::kBadRequest, "chat template, line {}: {}", line, failure.what());
  }
}

}  // namespace tensormill::jinja
