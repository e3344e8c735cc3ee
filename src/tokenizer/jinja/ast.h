#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tokenizer/jinja/value.h"

namespace tensormill::jinja {

// Names stand for small numbers, one for each name of a template. The first are those that the
// language gives a meaning; globals stand in the order of Builtin.
enum NameId : int {
  kNameRange,
  kNameNamespace,
  kNameDict,
  kNameCycler,
  kNameJoiner,
  kNameRaiseException,
  kNameStrftimeNow,
  kNameLoop,
  kNameCaller,
  kNameVarargs,
  kNameKwargs,
};
constexpr int kGlobalNames = kNameStrftimeNow + 1;

class Names {
 public:
  Names();
  int add(const std::string& name);
  int find(const std::string& name) const;  // -1: not in the template
  const std::string& text(int id) const { return texts_[static_cast<size_t>(id)]; }

 private:
  std::unordered_map<std::string, int> ids_;
  std::vector<std::string> texts_;
};

enum class ExprKind : uint8_t {
  kConstant,
  kName,
  kList,
  kTuple,
  kDict,  // parts: key, value, key, value ...
  kNot,
  kNegate,
  kPlus,
  kAnd,
  kOr,
  kBinary,     // text: the operator
  kConcat,     // any number of parts
  kCompare,    // parts: operands; operators between them
  kCondition,  // parts: then, condition, else (may be null)
  kAttribute,  // text: its name
  kItem,
  kSlice,   // parts: value, start, stop, step (each of the last three may be null)
  kCall,    // parts: callee, arguments
  kFilter,  // parts: value (null: the block's text), arguments
  kTest,    // parts: value, arguments
};

enum class Operator : uint8_t {
  kNone,
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
  kEqual,
  kUnequal,
  kLess,
  kAtMost,
  kMore,
  kAtLeast,
  kIn,
  kNotIn,
};

struct FilterRow;
struct TestRow;

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct Expr {
  ExprKind kind;
  int line = 0;
  int depth = 1;     // of the tree below
  int name = -1;     // of kName
  std::string text;  // attribute, filter or test
  Value constant;
  std::vector<ExprPtr> parts;
  std::vector<std::pair<std::string, ExprPtr>> named;  // keyword arguments
  ExprPtr more_parts, more_named;                      // *arguments, **arguments
  std::vector<Operator> operators;                     // of kBinary and kCompare
  const FilterRow* filter = nullptr;                   // null: unknown, fails when it runs
  const TestRow* test = nullptr;
  bool computed_early = false;  // of kSlice: see constants.h
};

// What `set` and `for` assign to: a name, an attribute of a namespace, or several targets.
struct Target {
  int name = -1;
  std::string attribute;
  std::vector<Target> items;  // not empty: unpack into them
};

enum class StmtKind : uint8_t {
  kText,
  kOutput,
  kIf,   // condition, body, otherwise
  kFor,  // target, value, condition (the filter), body, otherwise
  kSet,
  kSetBlock,  // target, body, value: a filter chain or null
  kMacro,
  kCall,    // value: the call, macro: its body as `caller`
  kFilter,  // value: the filter chain
  kWith,    // assignments, body
  kScope,   // body with names of its own
  kBlock,   // body that sees the outermost names only
  kBreak,
  kContinue,
};

struct Stmt;
using Block = std::vector<std::unique_ptr<Stmt>>;

struct MacroDefinition {
  std::string name;
  struct Parameter {
    int id;
    std::string name;
    ExprPtr otherwise;  // or null
  };
  std::vector<Parameter> parameters;
  Block body;
  bool uses_caller = false, uses_varargs = false, uses_kwargs = false;
};

struct Stmt {
  StmtKind kind;
  int line = 0;
  int name = -1;  // of kMacro
  std::string text;
  Target target;
  ExprPtr value, condition;
  bool uses_loop = false, recursive = false;  // of kFor
  Block body, otherwise;
  std::vector<std::pair<Target, ExprPtr>> assignments;
  std::unique_ptr<MacroDefinition> macro;
};

struct Program {
  Block block;
  Names names;
  std::string source;  // for messages
};

}  // namespace tensormill::jinja
