#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace tensormill::jinja {

// A run-time error of a template; the interpreter adds the line.
class Failure : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Longest text in bytes, heaviest container.
constexpr size_t kMaxWeight = size_t{64} << 20;

class Value;
struct Scope;
struct LoopState;  // what `loop` is
struct MacroDefinition;

// The depth of a container around values of depth `inner`. Failure when that is too deep.
int checked_depth(int inner);

struct Undefined {
  std::string reason;  // "'x' is undefined"
};
struct None {};
struct List {
  std::vector<Value> items;
  bool tuple = false;
  int depth = 1;  // levels of containers, this one included
  size_t weight = 1;
};
struct Dict {
  std::vector<std::pair<Value, Value>> items;  // in the order of insertion
  int depth = 1;
  size_t weight = 1;
  const Value* find(const Value& key) const;
  const Value* find_text(std::string_view key) const;
  void set(Value key, Value value);
};
struct Namespace {
  Dict attributes;
};
struct Macro {
  const MacroDefinition* definition;
  std::shared_ptr<Scope> scope;
};
struct Method;  // a method of a value, not yet called
enum class Builtin : uint8_t { kRange, kNamespace, kDict, kRaiseException, kStrftimeNow };

// A value of the template language. Strings and containers are shared and never change, so values
// copy cheaply and hold no cycles; namespaces alone change, and their owner is the interpreter.
class Value {
 public:
  using Text = std::shared_ptr<const std::string>;
  using Data = std::variant<Undefined, None, bool, int64_t, double, Text,
                            std::shared_ptr<const List>, std::shared_ptr<const Dict>,
                            std::shared_ptr<Namespace>, std::shared_ptr<const LoopState>,
                            std::shared_ptr<const Macro>, std::shared_ptr<const Method>, Builtin>;

  Value() = default;
  Value(None none) : data_(none) {}
  Value(bool value) : data_(value) {}
  Value(int64_t value) : data_(value) {}
  Value(double value) : data_(value) {}
  Value(std::string text) : data_(std::make_shared<const std::string>(std::move(text))) {}
  Value(std::string_view text) : Value(std::string(text)) {}
  Value(const char* text) : Value(std::string(text)) {}
  Value(Data data) : data_(std::move(data)) {}
  static Value undefined(std::string reason) { return Value(Data(Undefined{std::move(reason)})); }
  // Failure when nested too deep or of more than kMaxWeight.
  static Value list(std::vector<Value> items, bool tuple = false);
  static Value dict(Dict dict);
  static Value from_json(const nlohmann::ordered_json& json);

  const Data& data() const { return data_; }
  template <class T>
  const T* get() const {
    return std::get_if<T>(&data_);
  }
  bool is_undefined() const { return get<Undefined>() != nullptr; }
  bool is_none() const { return get<None>() != nullptr; }
  const std::string* text() const {
    const auto* p = get<Text>();
    return p ? p->get() : nullptr;
  }
  const List* as_list() const {
    const auto* p = get<std::shared_ptr<const List>>();
    return p ? p->get() : nullptr;
  }
  const Dict* as_dict() const {
    const auto* p = get<std::shared_ptr<const Dict>>();
    return p ? p->get() : nullptr;
  }
  bool is_number() const { return get<bool>() || get<int64_t>() || get<double>(); }
  bool is_integral() const { return get<bool>() || get<int64_t>(); }
  bool is_callable() const;

  bool truth() const;
  double number() const;    // of a number
  int64_t integer() const;  // of an integral; Failure otherwise
  int depth() const;
  // About the bytes that the value takes when written out, shared parts counted each time.
  size_t weight() const;
  std::string type_name() const;  // as Python names it: "str", "dict", "NoneType"

 private:
  Data data_;
};

struct Method {
  Value self;
  std::string name;
};

// The variable `loop` of one turn.
struct LoopState {
  std::shared_ptr<const std::vector<Value>> items;
  size_t index = 0;
  int depth = 1;
};

bool equal(const Value& a, const Value& b);
int compare(const Value& a, const Value& b, std::string_view op);  // Failure: no order between them
bool contains(const Value& container, const Value& item);
int64_t length(const Value& value);              // Failure: no length
std::vector<Value> iterate(const Value& value);  // Failure: not iterable
std::string to_text(const Value& value);         // str()
std::string to_repr(const Value& value);

struct JsonStyle {
  bool ascii = false, sort_keys = false;
  std::string indent;       // of one level
  bool multi_line = false;  // indent was given, even if 0
  std::string item_separator = ", ", key_separator = ": ";
};
std::string to_json(const Value& value, const JsonStyle& style);

}  // namespace tensormill::jinja
