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
struct MethodRow;
struct Stmt;

// The depth of a container around values of depth `inner`. Failure when that is too deep.
int checked_depth(int inner);

// What a lookup without a result gives; every use but printing, testing and looping fails.
struct Undefined {
  enum class Kind : uint8_t { kName, kAttribute, kElement, kHint };
  Kind kind = Kind::kHint;
  const char* owner = "";                     // of kAttribute and kElement: its type
  std::shared_ptr<const std::string> detail;  // name, element or the whole reason
  std::string reason() const;                 // "'x' is undefined"
};
struct None {};
// A whole number that needs more than 64 bits: passed on, not computed with.
struct BigInteger {
  std::shared_ptr<const std::string> digits;
};
// Text that the filters safe and escape gave: what is added to it is escaped.
struct Markup {
  std::shared_ptr<const std::string> text;
};
// kGroup: a tuple whose items are named grouper and list.
enum class ListKind : uint8_t { kList, kTuple, kKeys, kValues, kItems, kRange, kGroup };
struct List {
  std::vector<Value> items;
  ListKind kind = ListKind::kList;
  int depth = 1;  // levels of containers, this one included
  size_t weight = 1;
  bool is(ListKind other) const { return kind == other; }
  bool has_elements() const;  // can be indexed: list, tuple or range
};
struct Dict {
  std::vector<std::pair<Value, Value>> items;  // in the order of insertion
  int depth = 1;
  size_t weight = 1;
  const Value* find(const Value& key) const;
  const Value* find_text(std::string_view key) const;
  void set(Value key, Value value);
};
// What filters such as map give: its items can be taken once.
struct Generator {
  std::vector<Value> items;
  size_t next = 0;
  std::string failure;  // not empty: what taking an item after the last fails with
  int depth = 1;
  size_t weight = 1;
};
struct Namespace {
  Dict attributes;
};
// cycler() and joiner(): what the next call gives depends on the ones before.
struct Stepper {
  bool joins = false;
  std::vector<Value> items;
  size_t next = 0;
};
struct Macro {
  const MacroDefinition* definition;
  std::shared_ptr<Scope> scope;
};
struct Method;  // a method of a value, not yet called
enum class Builtin : uint8_t {
  kRange,
  kNamespace,
  kDict,
  kCycler,
  kJoiner,
  kRaiseException,
  kStrftimeNow
};

// A value of the template language. Strings and containers are shared and never change, so values
// copy cheaply and hold no cycles; namespaces change, and their owner is the interpreter.
class Value {
 public:
  using Text = std::shared_ptr<const std::string>;
  using Data =
      std::variant<Undefined, None, bool, int64_t, double, Text, std::shared_ptr<const List>,
                   std::shared_ptr<const Dict>, std::shared_ptr<Namespace>,
                   std::shared_ptr<LoopState>, std::shared_ptr<const Macro>,
                   std::shared_ptr<const Method>, Builtin, Markup, std::shared_ptr<Generator>,
                   std::shared_ptr<Stepper>, BigInteger>;

  Value() = default;
  Value(None none) : data_(none) {}
  Value(bool value) : data_(value) {}
  Value(int64_t value) : data_(value) {}
  Value(double value) : data_(value) {}
  Value(std::string text) : data_(std::make_shared<const std::string>(std::move(text))) {}
  Value(std::string_view text) : Value(std::string(text)) {}
  Value(const char* text) : Value(std::string(text)) {}
  Value(Data data) : data_(std::move(data)) {}
  static Value undefined(std::string reason);
  static Value undefined_name(const std::string& name);
  static Value undefined_attribute(const Value& owner, const std::string& name);
  static Value undefined_element(const Value& owner, const Value& key);
  static Value markup(std::string text);
  // Failure when nested too deep or of more than kMaxWeight.
  static Value list(std::vector<Value> items, ListKind kind = ListKind::kList);
  static Value tuple(std::vector<Value> items) { return list(std::move(items), ListKind::kTuple); }
  // failure: "" or what follows the last item.
  static Value generator(std::vector<Value> items, std::string failure = {});
  static Value dict(Dict dict);
  // Of the JSON's own texts, which must outlive the value.
  static Value view_of(const nlohmann::ordered_json& json);

  const Data& data() const { return data_; }
  template <class T>
  const T* get() const {
    return std::get_if<T>(&data_);
  }
  bool is_undefined() const { return get<Undefined>() != nullptr; }
  bool is_none() const { return get<None>() != nullptr; }
  bool is_markup() const { return get<Markup>() != nullptr; }
  const std::string* text() const {
    if (const auto* p = get<Text>()) return p->get();
    const auto* markup = get<Markup>();
    return markup ? markup->text.get() : nullptr;
  }
  const List* as_list() const {
    const auto* p = get<std::shared_ptr<const List>>();
    return p ? p->get() : nullptr;
  }
  const Dict* as_dict() const {
    const auto* p = get<std::shared_ptr<const Dict>>();
    return p ? p->get() : nullptr;
  }
  bool is_number() const { return is_integral() || get<double>() || get<BigInteger>(); }
  bool is_integral() const { return get<bool>() || get<int64_t>(); }
  bool is_callable() const;

  bool truth() const;
  double number() const;    // of a number
  int64_t integer() const;  // of an integral; Failure otherwise
  int depth() const;
  // About the bytes that the value takes when written out, shared parts counted each time.
  size_t weight() const;
  const char* type_name() const;  // as Python names it: "str", "dict", "NoneType"

 private:
  Data data_;
};

struct Method {
  Value self;
  const MethodRow* row;
};

// The variable `loop`.
struct LoopState {
  std::vector<Value> items;
  size_t index = 0;
  int depth = 1;                                // of the items, as containers
  int level = 0;                                // of recursion
  const Stmt* statement = nullptr;              // of a recursive loop
  std::shared_ptr<Scope> outer;                 // the names around it
  std::unique_ptr<std::vector<Value>> changed;  // the last arguments of changed()
  bool finished = false;
};

bool equal(const Value& a, const Value& b);
int compare(const Value& a, const Value& b, std::string_view op);  // Failure: no order between them
bool contains(const Value& container, const Value& item);
int64_t length(const Value& value);  // Failure: no length
// All items, which takes them from a generator. Failure: not iterable.
std::vector<Value> iterate(const Value& value);
bool is_iterable(const Value& value);
[[noreturn]] void fail_undefined(const Undefined& undefined);
void check_hashable(const Value& key);    // Failure: no key of a dict
std::string to_text(const Value& value);  // str()
std::string to_repr(const Value& value);

struct JsonStyle {
  bool ascii = false, sort_keys = false;
  std::string indent;       // of one level
  bool multi_line = false;  // indent was given, even if 0
  std::string item_separator = ", ", key_separator = ": ";
};
std::string to_json(const Value& value, const JsonStyle& style);

}  // namespace tensormill::jinja
