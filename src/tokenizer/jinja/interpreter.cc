#include "tokenizer/jinja/interpreter.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "tokenizer/jinja/evaluator.h"
#include "tokenizer/jinja/text.h"

namespace tensormill::jinja {
namespace {

constexpr int kMaxDepth = 400;                 // of expressions, blocks and calls in each other
constexpr size_t kMaxUnits = size_t{1} << 26;  // steps, and 8 bytes of text each

// ", in \"{{ x.y }}\"": a line of the template, where it is short enough to be read.
std::string quoted_line(std::string_view source, int line) {
  constexpr size_t kLongest = 160;
  for (int at = 1; at < line; ++at) {
    const size_t end = source.find('\n');
    if (end == std::string_view::npos) return {};
    source.remove_prefix(end + 1);
  }
  const std::string_view text = strip(source.substr(0, source.find('\n')), true, true);
  if (text.empty() || text.size() > kLongest) return {};
  return fmt::format(", in \"{}\"", text);
}

}  // namespace

const Value* Scope::find_here(int name) const {
  for (const auto& [key, value] : names) {
    if (key == name) return &value;
  }
  return nullptr;
}

void Scope::set(int name, Value value) {
  if (const Value* found = find_here(name)) {
    *const_cast<Value*>(found) = std::move(value);
  } else {
    names.emplace_back(name, std::move(value));
  }
}

Evaluator::Level::Level(Evaluator& in) : in_(in) {
  if (in_.depth_ >= kMaxDepth) throw Failure("the template nests too deep");
  ++in_.depth_;
}

Evaluator::NewScope::NewScope(Evaluator& in, ScopePtr parent) : in_(in), before_(in.scope_) {
  in_.charge(8);
  auto scope = std::make_shared<Scope>();
  scope->parent = std::move(parent);
  in_.scope_ = std::move(scope);
}

Evaluator::Evaluator(const Program& program, const OrderedJson& variables)
    : program_(program), scope_(std::make_shared<Scope>()) {
  if (!variables.is_object()) throw Failure("the variables must be an object");
  for (const auto& [name, value] : variables.items()) {
    const int id = program.names.find(name);
    if (id < 0) continue;
    Value each = Value::view_of(value);
    size_ += each.weight();
    scope_->set(id, std::move(each));
  }
  for (int id = 0; id < kGlobalNames; ++id) {
    if (!scope_->find_here(id)) scope_->set(id, Value(Value::Data(static_cast<Builtin>(id))));
  }
}

// Namespaces and the scopes of macros may hold each other.
Evaluator::~Evaluator() {
  for (const auto& names : namespaces_) names->attributes.items.clear();
  for (const auto& scope : captured_) {
    scope->names.clear();
    scope->parent.reset();
  }
}

std::string Evaluator::run() {
  constexpr size_t kUsual = size_t{4} << 10, kMost = size_t{1} << 20;
  std::string out;
  out.reserve(std::min(size_ + kUsual, kMost));
  execute(program_.block, out);
  return out;
}

void Evaluator::charge(size_t units) {
  if (units > kMaxUnits - used_) throw Failure("the template takes too much time or memory");
  used_ += units;
}

Evaluator::Flow Evaluator::execute(const Block& block, std::string& out) {
  for (const auto& stmt : block) {
    const Flow flow = execute(*stmt, out);
    if (flow != Flow::kOn) return flow;
  }
  return Flow::kOn;
}

void Evaluator::append(std::string& out, std::string_view text) {
  charge(1 + text.size() / 8);
  check_size(out.size() + text.size());
  out += text;
}

void Evaluator::append(std::string& out, const Value& value) {
  if (const std::string* text = value.text()) {
    append(out, std::string_view(*text));
  } else {
    append(out, std::string_view(to_text(value)));
  }
}

Evaluator::Flow Evaluator::execute(const Stmt& stmt, std::string& out) {
  const Level level(*this);
  line_ = stmt.line;
  switch (stmt.kind) {
    case StmtKind::kText:
      append(out, std::string_view(stmt.text));
      break;
    case StmtKind::kOutput:
      append(out, *stmt.value);
      break;
    case StmtKind::kIf:
      return execute_if(stmt, out);
    case StmtKind::kFor:
      execute_for(stmt, eval(*stmt.value), 0, out);
      break;
    case StmtKind::kBreak:
      return Flow::kBreak;
    case StmtKind::kContinue:
      return Flow::kContinue;
    case StmtKind::kMacro:
      scope_->set(stmt.name, make_macro(*stmt.macro));
      break;
    case StmtKind::kSet:
      assign(stmt.target, eval(*stmt.value));
      break;
    case StmtKind::kSetBlock: {
      Value value = capture(stmt.body);
      assign(stmt.target, stmt.value ? eval_filters(*stmt.value, std::move(value)) : value);
      break;
    }
    case StmtKind::kFilter:
      append(out, eval_filters(*stmt.value, capture(stmt.body)));
      break;
    case StmtKind::kCall:
      append(out, eval_call(*stmt.value, stmt.macro.get()));
      break;
    case StmtKind::kWith:
      return execute_with(stmt, out);
    case StmtKind::kScope:
      return execute_inside(stmt.body, scope_, out);
    case StmtKind::kBlock: {
      ScopePtr outermost = scope_;
      while (outermost->parent) outermost = outermost->parent;
      return execute_inside(stmt.body, outermost, out);
    }
  }
  return Flow::kOn;
}

Evaluator::Flow Evaluator::execute_inside(const Block& block, const ScopePtr& parent,
                                          std::string& out) {
  const NewScope scope(*this, parent);
  return execute(block, out);
}

Evaluator::Flow Evaluator::execute_if(const Stmt& stmt, std::string& out) {
  const Stmt* at = &stmt;
  while (!truth_of(*at->condition)) {
    if (at->otherwise.size() != 1 || at->otherwise[0]->kind != StmtKind::kIf)
      return execute(at->otherwise, out);
    at = at->otherwise[0].get();
    line_ = at->line;
  }
  return execute(at->body, out);
}

Evaluator::Flow Evaluator::execute_with(const Stmt& stmt, std::string& out) {
  std::vector<Value> values;
  for (const auto& [target, value] : stmt.assignments) values.push_back(eval(*value));
  const NewScope scope(*this, scope_);
  for (size_t i = 0; i < values.size(); ++i) assign(stmt.assignments[i].first, values[i]);
  return execute(stmt.body, out);
}

void Evaluator::filter_items(const Stmt& stmt, const ScopePtr& outer, std::vector<Value>& items) {
  std::vector<Value> kept;
  for (Value& each : items) {
    const NewScope scope(*this, outer);
    assign(stmt.target, each);
    if (truth_of(*stmt.condition)) kept.push_back(std::move(each));
  }
  items = std::move(kept);
}

// One turn of a loop; false: it is the last.
bool Evaluator::run_turn(const Stmt& stmt, const ScopePtr& outer, const Value& each,
                         const Value& loop, std::string& out) {
  const NewScope scope(*this, outer);
  assign(stmt.target, each);
  if (stmt.uses_loop) scope_->set(kNameLoop, loop);
  return execute(stmt.body, out) != Flow::kBreak;
}

void Evaluator::execute_for(const Stmt& stmt, const Value& iterated, int level, std::string& out) {
  charge(iterated.text() ? 8 * iterated.text()->size() : cost(iterated));
  const auto* of_loop = iterated.get<std::shared_ptr<LoopState>>();
  if (of_loop) throw Failure("a loop over 'loop' is not supported");
  std::vector<Value> items = iterate(iterated);
  const ScopePtr outer = scope_;
  if (stmt.condition) filter_items(stmt, outer, items);
  if (items.empty()) {
    execute_inside(stmt.otherwise, outer, out);
    return;
  }
  const auto state = std::make_shared<LoopState>();
  int depth = 0;
  for (const Value& each : items) depth = std::max(depth, each.depth());
  state->depth = checked_depth(depth);
  state->items = std::move(items);
  state->level = level;
  if (stmt.recursive) {
    state->statement = &stmt;
    state->outer = outer;
  }
  const Value loop{Value::Data(state)};
  for (size_t i = 0; i < state->items.size(); ++i) {
    state->index = i;
    if (!run_turn(stmt, outer, state->items[i], loop, out)) break;
  }
  state->changed.reset();
  state->outer.reset();
  state->finished = true;
}

void Evaluator::assign(const Target& target, const Value& value) {
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
    const Value* owner = lookup(target.name);
    const auto* names = owner ? owner->get<std::shared_ptr<Namespace>>() : nullptr;
    if (!names) throw Failure("cannot assign attribute on non-namespace object");
    const std::shared_ptr<Namespace> held = *names;
    held->attributes.set(target.attribute, value);
  }
}

std::string Evaluator::capture(const Block& body) {
  const Level level(*this);
  const NewScope scope(*this, scope_);
  std::string text;
  execute(body, text);
  return text;
}

std::string interpret(const Program& program, const OrderedJson& variables) {
  int line = 1;
  try {
    Evaluator evaluator(program, variables);
    try {
      return evaluator.run();
    } catch (const Failure&) {
      line = evaluator.line();
      throw;
    }
  } catch (const Failure& failure) {
    throw_error(ErrorKind::kBadRequest, "chat template, line {}: {}{}", line, failure.what(),
                quoted_line(program.source, line));
  }
}

}  // namespace tensormill::jinja
