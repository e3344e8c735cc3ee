#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/jinja/ast.h"
#include "tokenizer/jinja/value.h"

namespace tensormill::jinja {

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;

  // By position or name; null where it wasn't given.
  const Value* find(size_t index, std::string_view name) const;
  const Value& require(size_t index, std::string_view name) const;  // Failure
  bool flag(size_t index, std::string_view name, bool otherwise) const;
  int64_t integer(size_t index, std::string_view name, int64_t otherwise) const;
  std::string text(size_t index, std::string_view name, std::string_view otherwise) const;
};

// What filters and methods may ask of the interpreter.
class Runtime {
 public:
  virtual ~Runtime() = default;
  virtual Value call(const Value& callee, Arguments arguments) = 0;
  virtual void charge(size_t units) = 0;  // Failure when the budget of a rendering is spent
};

// parameters: names with blanks between them, in the order of positions. A name that begins with
// '*' takes all others of its kind: "*" positions, "**" names.
struct FilterRow {
  std::string_view name;
  Value (*apply)(const Value& value, const Arguments& arguments, Runtime& runtime);
  std::string_view parameters;
};
struct TestRow {
  std::string_view name;
  bool (*holds)(const Value& value, const Arguments& arguments);
  int operands;
};
struct MethodRow {
  std::string_view name;
  Value (*call)(const Value& self, const Arguments& arguments, Runtime& runtime);
  int least, most;              // positional arguments
  std::string_view parameters;  // that may be given by name; "**": any
};

const FilterRow* find_filter(std::string_view name);  // null: unknown
bool takes_items(const FilterRow* row);               // loops over its value
const TestRow* find_test(std::string_view name);      // null: unknown
const MethodRow* find_method(const Value& value, std::string_view name);
const MethodRow* find_text_method(std::string_view name);

Value apply_filter(const FilterRow& row, const Value& value, const Arguments& arguments,
                   Runtime& runtime);
bool apply_test(const TestRow& row, const Value& value, const Arguments& arguments);
Value call_method(const MethodRow& row, const Value& self, const Arguments& arguments,
                  Runtime& runtime);

// The rows of the files that filters are spread over.
std::span<const FilterRow> sequence_filters();
std::span<const FilterRow> text_filters();
std::span<const FilterRow> markup_filters();
std::span<const FilterRow> wrap_filters();
std::span<const FilterRow> print_filters();

// Is no name of a dict's method or of what is hidden?
bool is_plain_key(std::string_view name);
// value.name and value[key]; undefined where there is none.
Value attribute(const Value& value, const std::string& name);
Value item(const Value& value, const Value& key);
// "a.b.0": attributes and items one after the other, as filters' attribute= has it.
// otherwise: what stands for undefined ones, or null.
Value attribute_path(const Value& value, const Value& path, const Value* otherwise = nullptr);
Value slice(const Value& value, const Value& start, const Value& stop, const Value& step);

// a + b and the like; Failure as Python has it.
Value binary(Operator op, const Value& a, const Value& b);
Value negate(const Value& value);
Value plus(const Value& value);
// text % values
std::string percent_format(const std::string& text, const Value& values);
// text.format(...): str.format of Python.
std::string brace_format(const std::string& text, const Arguments& arguments);
std::string escape_html(std::string_view text);
// escape() of a value: markup stays as it is.
std::string escaped(const Value& value);
bool has_word(std::string_view words, std::string_view word);  // "a b" has "a"
std::string join_texts(const std::vector<Value>& items, std::string_view separator);
// Units of the budget that a walk over a text or the items of a container takes.
size_t cost(const Value& value);
// Failure when a text would grow beyond kMaxWeight.
void check_size(size_t bytes);

}  // namespace tensormill::jinja
