#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

using Filter = Value (*)(const Value& value, const Arguments& arguments, Runtime& runtime);
using Test = bool (*)(const Value& value, const Arguments& arguments);

Filter find_filter(std::string_view name);  // null: unknown
Test find_test(std::string_view name);      // null: unknown

// value.name and value[key]; undefined where there is none.
Value attribute(const Value& value, const std::string& name);
Value item(const Value& value, const Value& key);
// "a.b.0": attributes and items one after the other, as filters' attribute= has it.
Value attribute_path(const Value& value, const Value& path);
Value slice(const Value& value, const Value& start, const Value& stop, const Value& step);

bool has_method(const Value& value, std::string_view name);
Value call_method(const Method& method, const Arguments& arguments, Runtime& runtime);

// a + b and the like; Failure as Python has it.
Value binary(std::string_view op, const Value& a, const Value& b);
// text % values
std::string percent_format(const std::string& text, const Value& values);
std::string join_texts(const std::vector<Value>& items, std::string_view separator);
// Units of the budget that a walk over a text or the items of a container takes.
size_t cost(const Value& value);
// Failure when a text would grow beyond kMaxWeight.
void check_size(size_t bytes);

}  // namespace tensormill::jinja
