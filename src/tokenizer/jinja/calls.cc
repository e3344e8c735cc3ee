// Macros, loops that call themselves, and the functions that every template has.
#include <algorithm>
#include <array>
#include <ctime>
#include <optional>

#include "base/error.h"
#include "tokenizer/jinja/evaluator.h"
#include "tokenizer/jinja/text.h"

namespace tensormill::jinja {
namespace {

constexpr int64_t kMaxRange = 100000;

Dict make_dict(const Arguments& arguments, Runtime& runtime) {
  Dict dict;
  if (arguments.positional.size() > 1)
    throw Failure(
        fmt::format("dict expected at most 1 argument, got {}", arguments.positional.size()));
  if (!arguments.positional.empty()) {
    if (const Dict* other = arguments.positional[0].as_dict()) {
      dict = *other;
    } else {
      for (const Value& pair : iterate(arguments.positional[0])) {
        const std::vector<Value> parts = iterate(pair);
        if (parts.size() != 2) throw Failure("dict(): expected pairs of key and value");
        check_hashable(parts[0]);
        runtime.charge(2 + dict.items.size() / 16);
        dict.set(parts[0], parts[1]);
      }
    }
  }
  for (const auto& [name, value] : arguments.named) {
    runtime.charge(1 + dict.items.size() / 16);
    dict.set(name, value);
  }
  return dict;
}

// As datetime.now().strftime(format), which knows no time zone.
std::string time_text(const std::string& format) {
  if (format.size() > 256) throw Failure("strftime_now: format of more than 256 bytes");
  std::string shown;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      shown += format[i];
      continue;
    }
    const char c = format[++i];
    if (c == 'z' || c == 'Z') continue;
    if (c == 'f') {
      std::timespec now{};
      std::timespec_get(&now, TIME_UTC);
      shown += fmt::format("{:06}", now.tv_nsec / 1000);
    } else {
      shown += '%';
      shown += c;
    }
  }
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  std::array<char, 8192> buffer{};
  const size_t n = std::strftime(buffer.data(), buffer.size(), shown.c_str(), &local);
  std::string text(buffer.data(), n);
  return is_utf8(text) ? text : std::string();
}

Value stepper(bool joins, const Arguments& arguments) {
  Stepper made{joins, arguments.positional, 0};
  if (joins && !made.items.empty()) made.items.resize(1);
  if (joins && made.items.empty()) made.items.emplace_back(arguments.text(0, "sep", ", "));
  if (made.items.empty()) throw Failure("at least one item has to be provided");
  return Value(Value::Data(std::make_shared<Stepper>(std::move(made))));
}

}  // namespace

Value Evaluator::call(const Value& callee, Arguments arguments) {
  if (const auto* macro = callee.get<std::shared_ptr<const Macro>>())
    return call_macro(**macro, std::move(arguments));
  if (const auto* method = callee.get<std::shared_ptr<const Method>>())
    return call_method(*(*method)->row, (*method)->self, arguments, *this);
  if (const auto* builtin = callee.get<Builtin>()) return call_builtin(*builtin, arguments);
  if (const auto* loop = callee.get<std::shared_ptr<LoopState>>())
    return call_loop(**loop, arguments);
  if (const auto* step = callee.get<std::shared_ptr<Stepper>>(); step && (*step)->joins)
    return (*step)->next++ == 0 ? Value("") : (*step)->items[0];
  if (const auto* undefined = callee.get<Undefined>()) fail_undefined(*undefined);
  throw Failure(fmt::format("'{}' object is not callable", callee.type_name()));
}

Value Evaluator::make_macro(const MacroDefinition& definition) {
  charge(8);
  captured_.push_back(scope_);
  return Value(Value::Data(std::make_shared<const Macro>(Macro{&definition, scope_})));
}

// Arguments become names of the scope that has just begun.
void Evaluator::bind_arguments(const MacroDefinition& definition, Arguments& arguments) {
  const ScopePtr scope = scope_;
  const auto& parameters = definition.parameters;
  const auto take_named = [&arguments](std::string_view name) -> std::optional<Value> {
    for (auto at = arguments.named.begin(); at != arguments.named.end(); ++at) {
      if (at->first != name) continue;
      Value value = std::move(at->second);
      arguments.named.erase(at);
      return value;
    }
    return std::nullopt;
  };
  const size_t given = std::min(arguments.positional.size(), parameters.size());
  std::vector<std::optional<Value>> values(parameters.size());
  for (size_t i = 0; i < parameters.size(); ++i)
    values[i] = i < given ? std::move(arguments.positional[i]) : take_named(parameters[i].name);
  if (definition.uses_caller) {
    const auto caller = take_named("caller");
    scope->set(kNameCaller, caller ? *caller : Value::undefined("No caller defined"));
  }
  if (definition.uses_kwargs) {
    Dict rest;
    for (auto& [name, value] : arguments.named) {
      charge(1 + rest.items.size() / 16);
      rest.set(name, std::move(value));
    }
    scope->set(kNameKwargs, Value::dict(std::move(rest)));
  } else if (!arguments.named.empty()) {
    throw Failure(fmt::format("macro '{}' takes no keyword argument '{}'", definition.name,
                              arguments.named[0].first));
  }
  if (definition.uses_varargs) {
    scope->set(kNameVarargs,
               Value::tuple({arguments.positional.begin() + static_cast<std::ptrdiff_t>(given),
                             arguments.positional.end()}));
  } else if (arguments.positional.size() > given) {
    throw Failure(fmt::format("macro '{}' takes not more than {} argument(s)", definition.name,
                              parameters.size()));
  }
  for (size_t i = 0; i < parameters.size(); ++i) {
    const auto& [id, name, otherwise] = parameters[i];
    if (!values[i] && !otherwise)
      values[i] = Value::undefined(fmt::format("parameter '{}' was not provided", name));
    scope->set(id, values[i] ? std::move(*values[i]) : eval(*otherwise));
  }
}

Value Evaluator::call_macro(const Macro& macro, Arguments arguments) {
  const Level level(*this);
  const NewScope scope(*this, macro.scope);
  bind_arguments(*macro.definition, arguments);
  std::string out;
  execute(macro.definition->body, out);
  return out;
}

Value Evaluator::call_loop(LoopState& loop, const Arguments& arguments) {
  if (!loop.statement || !loop.outer)
    throw Failure("The loop must have the 'recursive' marker to be called recursively.");
  const Level level(*this);
  const Value& iterated = arguments.require(0, "iterable");
  const Stmt& statement = *loop.statement;
  const ScopePtr before = std::exchange(scope_, loop.outer);
  struct Restore {
    ScopePtr& scope;
    ScopePtr before;
    ~Restore() { scope = std::move(before); }
  } restore{scope_, before};
  std::string out;
  execute_for(statement, iterated, loop.level + 1, out);
  return out;
}

Value Evaluator::call_builtin(Builtin builtin, const Arguments& arguments) {
  switch (builtin) {
    case Builtin::kRange:
      return range(arguments);
    case Builtin::kDict:
      return Value::dict(make_dict(arguments, *this));
    case Builtin::kNamespace: {
      charge(16);
      auto names = std::make_shared<Namespace>(Namespace{make_dict(arguments, *this)});
      namespaces_.push_back(names);
      return Value(Value::Data(std::move(names)));
    }
    case Builtin::kCycler:
      return stepper(false, arguments);
    case Builtin::kJoiner:
      return stepper(true, arguments);
    case Builtin::kRaiseException:
      throw Failure(to_text(arguments.require(0, "message")));
    case Builtin::kStrftimeNow:
      return time_text(arguments.text(0, "format", ""));
  }
  return {};
}

Value Evaluator::range(const Arguments& arguments) {
  if (!arguments.named.empty()) throw Failure("range() takes no keyword arguments");
  if (arguments.positional.size() > 3)
    throw Failure(
        fmt::format("range expected at most 3 arguments, got {}", arguments.positional.size()));
  int64_t start = 0, stop = arguments.require(0, "stop").integer();
  const int64_t step =
      arguments.positional.size() > 2 ? arguments.positional[2].integer() : int64_t{1};
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
  if (count > kMaxRange)
    throw Failure(fmt::format("Range too big. The limit for ranges is {} items", kMaxRange));
  charge(static_cast<size_t>(count));
  std::vector<Value> items;
  items.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) items.emplace_back(start + i * step);
  return Value::list(std::move(items), ListKind::kRange);
}

}  // namespace tensormill::jinja
