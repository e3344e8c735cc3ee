#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/jinja/ast.h"
#include "tokenizer/jinja/filters.h"

namespace tensormill::jinja {

struct Scope {
  std::vector<std::pair<int, Value>> names;
  std::shared_ptr<Scope> parent;

  const Value* find_here(int name) const;
  void set(int name, Value value);
};
using ScopePtr = std::shared_ptr<Scope>;

// One run of a template: statements in interpreter.cc, expressions in expressions.cc, calls in
// calls.cc.
class Evaluator final : public Runtime {
 public:
  // The variables' texts stay where they are: they must outlive it.
  Evaluator(const Program& program, const nlohmann::ordered_json& variables);
  ~Evaluator() override;
  Evaluator(const Evaluator&) = delete;
  Evaluator& operator=(const Evaluator&) = delete;

  std::string run();
  int line() const { return line_; }  // that ran last

  void charge(size_t units) override;
  Value call(const Value& callee, Arguments arguments) override;

 private:
  enum class Flow : uint8_t { kOn, kBreak, kContinue };

  // Counts nesting.
  class Level {
   public:
    explicit Level(Evaluator& in);
    ~Level() { --in_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Evaluator& in_;
  };
  // Names of its own from here to the end of the block of C++.
  class NewScope {
   public:
    NewScope(Evaluator& in, ScopePtr parent);
    ~NewScope() { in_.scope_ = std::move(before_); }
    NewScope(const NewScope&) = delete;
    NewScope& operator=(const NewScope&) = delete;

   private:
    Evaluator& in_;
    ScopePtr before_;
  };

  Flow execute(const Block& block, std::string& out);
  Flow execute(const Stmt& stmt, std::string& out);
  Flow execute_if(const Stmt& stmt, std::string& out);
  Flow execute_inside(const Block& block, const ScopePtr& parent, std::string& out);
  Flow execute_with(const Stmt& stmt, std::string& out);
  void execute_for(const Stmt& stmt, const Value& iterated, int level, std::string& out);
  bool run_turn(const Stmt& stmt, const ScopePtr& outer, const Value& each, const Value& loop,
                std::string& out);
  void filter_items(const Stmt& stmt, const ScopePtr& outer, std::vector<Value>& items);
  void append(std::string& out, std::string_view text);
  void append(std::string& out, const Value& value);
  void append(std::string& out, const Expr& expr);
  void assign(const Target& target, const Value& value);
  std::string capture(const Block& body);

  Value make_macro(const MacroDefinition& definition);
  Value call_macro(const Macro& macro, Arguments arguments);
  void bind_arguments(const MacroDefinition& definition, Arguments& arguments);
  Value call_builtin(Builtin builtin, const Arguments& arguments);
  Value call_loop(LoopState& loop, const Arguments& arguments);
  Value range(const Arguments& arguments);

  const Value* lookup(int name) const;
  Value eval(const Expr& expr);
  const Value* peek(const Expr& expr);
  const Value& seen(const Expr& expr, Value& held);
  bool add_sum(const Expr& expr, std::string& out, size_t begin, Value& other);
  Value dispatch(const Expr& expr);
  bool truth_of(const Expr& expr);
  Value eval_name(const Expr& expr);
  std::vector<Value> eval_all(const Expr& expr, size_t begin);
  Arguments eval_arguments(const Expr& expr);
  Value eval_dict(const Expr& expr);
  Value eval_attribute(const Expr& expr);
  Value eval_item(const Expr& expr);
  Value eval_concat(const Expr& expr);
  Value eval_binary(const Expr& expr);
  Value eval_compare(const Expr& expr);
  bool compare_values(Operator op, const Value& left, const Value& right);
  Value eval_slice(const Expr& expr);
  Value eval_test(const Expr& expr);
  Value eval_call(const Expr& expr, const MacroDefinition* caller);
  Value eval_filter(const Expr& expr);
  Value filtered(const Expr& expr, const Value& value);
  Value eval_filters(const Expr& expr, Value text);
  void charge_search(const Value& container);
  void charge_test(const TestRow& test, const Value& value, const Arguments& arguments);
  void charge_filter(const Expr& expr, const Value& value);

  const Program& program_;
  ScopePtr scope_;
  std::vector<std::shared_ptr<Namespace>> namespaces_;
  std::vector<ScopePtr> captured_;
  size_t size_ = 0;  // about the bytes of the variables
  size_t used_ = 0;
  int depth_ = 0, line_ = 1;
};

}  // namespace tensormill::jinja
