#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tokenizer/jinja/value.h"

namespace tensormill::jinja {

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

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct Expr {
  ExprKind kind;
  int line = 0;
  int depth = 1;     // of the tree below
  std::string text;  // name, operator, attribute, filter or test
  Value constant;
  std::vector<ExprPtr> parts;
  std::vector<std::pair<std::string, ExprPtr>> named;  // keyword arguments
  std::vector<std::string> operators;                  // of kCompare
};

// What `set` and `for` assign to: a name, an attribute of a namespace, or several targets.
struct Target {
  std::string name, attribute;
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
  kBreak,
  kContinue,
};

struct Stmt;
using Block = std::vector<std::unique_ptr<Stmt>>;

struct MacroDefinition {
  std::string name;
  std::vector<std::pair<std::string, ExprPtr>> parameters;  // with the default, or null
  Block body;
};

struct Stmt {
  StmtKind kind;
  int line = 0;
  std::string text;
  Target target;
  ExprPtr value, condition;
  Block body, otherwise;
  std::vector<std::pair<Target, ExprPtr>> assignments;
  std::unique_ptr<MacroDefinition> macro;
};

}  // namespace tensormill::jinja
