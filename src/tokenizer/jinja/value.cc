#include "tokenizer/jinja/value.h"

#include <algorithm>
#include <memory>
#include <unordered_map>

#include "base/error.h"
#include "base/json.h"
#include "tokenizer/jinja/text.h"

namespace tensormill::jinja {
namespace {

size_t checked_weight(size_t weight) {
  if (weight > kMaxWeight) throw Failure(fmt::format("value larger than {} bytes", kMaxWeight));
  return weight;
}

template <class... F>
struct Overload : F... {
  using F::operator()...;
};
template <class... F>
Overload(F...) -> Overload<F...>;

std::string joined(const std::vector<Value>& items) {
  std::string out;
  for (const Value& item : items) {
    if (!out.empty()) out += ", ";
    out += to_repr(item);
  }
  return out;
}

// "range(0, 3)"; how far an empty one was to go is not kept.
std::string range_repr(const std::vector<Value>& items) {
  if (items.empty()) return "range(0, 0)";
  const int64_t first = items.front().integer();
  const int64_t step = items.size() > 1 ? items[1].integer() - first : 1;
  const int64_t end = items.back().integer() + step;
  return step == 1 ? fmt::format("range({}, {})", first, end)
                   : fmt::format("range({}, {}, {})", first, end, step);
}

std::string list_repr(const List& list) {
  const std::string items = joined(list.items);
  switch (list.kind) {
    case ListKind::kList:
      return fmt::format("[{}]", items);
    case ListKind::kTuple:
    case ListKind::kGroup:
      return fmt::format("({}{})", items, list.items.size() == 1 ? "," : "");
    case ListKind::kKeys:
      return fmt::format("dict_keys([{}])", items);
    case ListKind::kValues:
      return fmt::format("dict_values([{}])", items);
    case ListKind::kItems:
      return fmt::format("dict_items([{}])", items);
    case ListKind::kRange:
      break;
  }
  return range_repr(list.items);
}

int stepper_depth(const Stepper& stepper) {
  int depth = 0;
  for (const Value& item : stepper.items) depth = std::max(depth, item.depth());
  return checked_depth(depth);
}

std::string dict_repr(const Dict& dict) {
  std::string out = "{";
  for (const auto& [key, value] : dict.items) {
    if (out.size() > 1) out += ", ";
    out += to_repr(key) + ": " + to_repr(value);
  }
  return out + "}";
}

// What jinja calls a value in messages.
std::string owner_text(std::string_view type) {
  return type == "NoneType" ? "None" : fmt::format("{} object", type);
}

}  // namespace

int checked_depth(int inner) {
  constexpr int kMaxDepth = 128;
  if (inner >= kMaxDepth) throw Failure(fmt::format("value nested deeper than {}", kMaxDepth));
  return inner + 1;
}

std::string Undefined::reason() const {
  switch (kind) {
    case Kind::kName:
      return fmt::format("'{}' is undefined", *detail);
    case Kind::kAttribute:
      return fmt::format("'{}' has no attribute '{}'", owner_text(owner), *detail);
    case Kind::kElement:
      return fmt::format("{} has no element {}", owner_text(owner), *detail);
    case Kind::kHint:
      break;
  }
  return detail ? *detail : "undefined value";
}

void fail_undefined(const Undefined& undefined) {
  throw Failure(undefined.reason());
}

void check_hashable(const Value& key) {
  const List* list = key.as_list();
  if (key.as_dict() || (list && !list->is(ListKind::kTuple) && !list->is(ListKind::kRange)))
    throw Failure(fmt::format("unhashable type: '{}'", key.type_name()));
  if (!list) return;
  for (const Value& item : list->items) check_hashable(item);
}

bool List::has_elements() const {
  return is(ListKind::kList) || is(ListKind::kTuple) || is(ListKind::kRange) ||
         is(ListKind::kGroup);
}

const Value* Dict::find_text(std::string_view key) const {
  for (const auto& item : items) {
    const std::string* text = item.first.text();
    if (text && *text == key) return &item.second;
  }
  return nullptr;
}

const Value* Dict::find(const Value& key) const {
  if (const std::string* text = key.text()) return find_text(*text);
  for (const auto& item : items) {
    if (equal(item.first, key)) return &item.second;
  }
  return nullptr;
}

void Dict::set(Value key, Value value) {
  if (const Value* found = find(key)) {
    *const_cast<Value*>(found) = std::move(value);
  } else {
    items.emplace_back(std::move(key), std::move(value));
  }
}

Value Value::undefined(std::string reason) {
  return Data(Undefined{Undefined::Kind::kHint, "",
                        std::make_shared<const std::string>(std::move(reason))});
}
Value Value::undefined_name(const std::string& name) {
  return Data(Undefined{Undefined::Kind::kName, "", std::make_shared<const std::string>(name)});
}
Value Value::undefined_attribute(const Value& owner, const std::string& name) {
  return Data(Undefined{Undefined::Kind::kAttribute, owner.type_name(),
                        std::make_shared<const std::string>(name)});
}
Value Value::undefined_element(const Value& owner, const Value& key) {
  return Data(Undefined{Undefined::Kind::kElement, owner.type_name(),
                        std::make_shared<const std::string>(to_repr(key))});
}
Value Value::markup(std::string text) {
  return Data(Markup{std::make_shared<const std::string>(std::move(text))});
}

Value Value::generator(std::vector<Value> items, std::string failure) {
  int depth = 0;
  size_t weight = 1;
  for (const Value& item : items) {
    depth = std::max(depth, item.depth());
    weight = checked_weight(weight + item.weight());
  }
  return Data(std::make_shared<Generator>(
      Generator{std::move(items), 0, std::move(failure), checked_depth(depth), weight}));
}

Value Value::list(std::vector<Value> items, ListKind kind) {
  int depth = 0;
  size_t weight = 1;
  for (const Value& item : items) {
    depth = std::max(depth, item.depth());
    weight = checked_weight(weight + item.weight());
  }
  List list{std::move(items), kind, checked_depth(depth), weight};
  return Data(std::make_shared<const List>(std::move(list)));
}

Value Value::dict(Dict dict) {
  int depth = 0;
  dict.weight = 1;
  for (const auto& [key, value] : dict.items) {
    depth = std::max({depth, key.depth(), value.depth()});
    dict.weight = checked_weight(dict.weight + key.weight() + value.weight());
  }
  dict.depth = checked_depth(depth);
  return Data(std::make_shared<const Dict>(std::move(dict)));
}

// No one owns it: copies count nothing.
static Value text_in_place(const std::string& text) {
  if (!is_utf8(text)) throw Failure("a string that is no valid UTF-8");
  return Value(Value::Data(Value::Text(Value::Text(), &text)));
}

Value Value::view_of(const OrderedJson& json) {
  switch (json.type()) {
    case OrderedJson::value_t::null:
      return None{};
    case OrderedJson::value_t::boolean:
      return json.get<bool>();
    case OrderedJson::value_t::number_integer:
      return json.get<int64_t>();
    case OrderedJson::value_t::number_unsigned: {
      const auto value = json.get<uint64_t>();
      if (value <= static_cast<uint64_t>(INT64_MAX)) return static_cast<int64_t>(value);
      return Data(BigInteger{std::make_shared<const std::string>(std::to_string(value))});
    }
    case OrderedJson::value_t::number_float:
      return json.get<double>();
    case OrderedJson::value_t::string:
      return text_in_place(json.get_ref<const std::string&>());
    case OrderedJson::value_t::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const OrderedJson& item : json) items.push_back(view_of(item));
      return list(std::move(items));
    }
    case OrderedJson::value_t::object: {
      Dict dict;
      dict.items.reserve(json.size());
      for (const auto& [key, value] : json.get_ref<const OrderedJson::object_t&>())
        dict.items.emplace_back(text_in_place(key), view_of(value));
      return Value::dict(std::move(dict));
    }
    default:
      throw Failure("a value of binary or discarded type");
  }
}

bool Value::is_callable() const {
  return get<std::shared_ptr<const Macro>>() || get<std::shared_ptr<const Method>>() ||
         get<Builtin>() || get<std::shared_ptr<LoopState>>() || is_undefined();
}

bool Value::truth() const {
  return std::visit(
      Overload{[](const Undefined&) { return false; }, [](None) { return false; },
               [](bool b) { return b; }, [](int64_t i) { return i != 0; },
               [](double d) { return d != 0; }, [](const Text& text) { return !text->empty(); },
               [](const Markup& markup) { return !markup.text->empty(); },
               [](const std::shared_ptr<const List>& l) { return !l->items.empty(); },
               [](const std::shared_ptr<const Dict>& d) { return !d->items.empty(); },
               [](const auto&) { return true; }},
      data_);
}

double Value::number() const {
  if (const auto* d = get<double>()) return *d;
  if (const auto* big = get<BigInteger>()) return std::stod(*big->digits);
  return static_cast<double>(integer());
}

int64_t Value::integer() const {
  if (const auto* i = get<int64_t>()) return *i;
  if (const auto* b = get<bool>()) return *b;
  if (const auto* undefined = get<Undefined>()) fail_undefined(*undefined);
  if (get<BigInteger>()) throw Failure("integer too large");
  throw Failure(fmt::format("'{}' object cannot be interpreted as an integer", type_name()));
}

int Value::depth() const {
  if (const List* list = as_list()) return list->depth;
  if (const Dict* dict = as_dict()) return dict->depth;
  if (const auto* loop = get<std::shared_ptr<LoopState>>()) return (*loop)->depth;
  if (const auto* generator = get<std::shared_ptr<Generator>>()) return (*generator)->depth;
  if (const auto* stepper = get<std::shared_ptr<Stepper>>()) return stepper_depth(**stepper);
  const auto* method = get<std::shared_ptr<const Method>>();
  return method ? (*method)->self.depth() : 0;
}

size_t Value::weight() const {
  if (const std::string* string = text()) return 8 + string->size();
  if (const List* list = as_list()) return 8 + list->weight;
  if (const Dict* dict = as_dict()) return 8 + dict->weight;
  if (const auto* generator = get<std::shared_ptr<Generator>>()) return 8 + (*generator)->weight;
  return 8;
}

const char* Value::type_name() const {
  static constexpr const char* kNames[] = {
      "Undefined", "NoneType", "bool",      "int",         "float", "str",
      "list",      "dict",     "Namespace", "LoopContext", "Macro", "method",
      "function",  "Markup",   "generator", "Cycler",      "int"};
  static constexpr const char* kLists[] = {"list",       "tuple", "dict_keys", "dict_values",
                                           "dict_items", "range", "tuple"};
  if (const List* list = as_list()) return kLists[static_cast<size_t>(list->kind)];
  return kNames[data_.index()];
}

namespace {

// Equal values have equal hashes.
size_t hash_of(const Value& value) {
  if (const std::string* text = value.text()) return std::hash<std::string>()(*text);
  if (value.is_number()) return std::hash<double>()(value.number());
  size_t hash = value.data().index();
  if (const List* list = value.as_list()) {
    for (const Value& item : list->items) hash = hash * 31 + hash_of(item);
  }
  return hash;
}

// Dicts in which looking for each key from the front would take too long.
bool equal_large(const Dict& a, const Dict& b) {
  std::unordered_multimap<size_t, const std::pair<Value, Value>*> index;
  for (const auto& item : b.items) index.emplace(hash_of(item.first), &item);
  return std::all_of(a.items.begin(), a.items.end(), [&index](const auto& item) {
    const auto [begin, end] = index.equal_range(hash_of(item.first));
    return std::any_of(begin, end, [&item](const auto& candidate) {
      const auto& [key, value] = *candidate.second;
      return equal(key, item.first) && equal(value, item.second);
    });
  });
}

// "<Namespace {...}>"; one that is in itself is shown as far as Python shows it.
std::string namespace_repr(const Namespace& names) {
  constexpr size_t kMostInEachOther = 100;
  static thread_local std::vector<const Namespace*> around;
  if (std::find(around.begin(), around.end(), &names) != around.end()) return "<Namespace {...}>";
  if (around.size() >= kMostInEachOther) throw Failure("namespaces nested too deep");
  struct Inside {
    explicit Inside(const Namespace& each) { around.push_back(&each); }
    ~Inside() { around.pop_back(); }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;
  } const inside(names);
  std::string shown = dict_repr(names.attributes);
  if (shown.size() > kMaxWeight)
    throw Failure(fmt::format("text of more than {} bytes", kMaxWeight));
  return fmt::format("<Namespace {}>", shown);
}

}  // namespace

bool equal(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.is_integral() && b.is_integral()) return a.integer() == b.integer();
    if (a.get<BigInteger>() && b.get<BigInteger>())
      return *a.get<BigInteger>()->digits == *b.get<BigInteger>()->digits;
    return a.number() == b.number();
  }
  if (a.text() && b.text()) return *a.text() == *b.text();
  if (a.data().index() != b.data().index()) return false;
  if (const List* x = a.as_list()) {
    const List* y = b.as_list();
    return x->kind == y->kind && !x->is(ListKind::kValues) && x->items.size() == y->items.size() &&
           std::equal(x->items.begin(), x->items.end(), y->items.begin(), equal);
  }
  if (const Dict* x = a.as_dict()) {
    const Dict* y = b.as_dict();
    if (x->items.size() != y->items.size()) return false;
    if (x->items.size() > 32) return equal_large(*x, *y);
    return std::all_of(x->items.begin(), x->items.end(), [y](const auto& item) {
      const Value* other = y->find(item.first);
      return other && equal(item.second, *other);
    });
  }
  if (a.is_undefined() || a.is_none()) return true;
  if (const auto* x = a.get<std::shared_ptr<Namespace>>())
    return *x == *b.get<std::shared_ptr<Namespace>>();
  if (const auto* x = a.get<std::shared_ptr<Generator>>())
    return *x == *b.get<std::shared_ptr<Generator>>();
  if (const auto* x = a.get<std::shared_ptr<LoopState>>())
    return *x == *b.get<std::shared_ptr<LoopState>>();
  return a.get<Builtin>() && *a.get<Builtin>() == *b.get<Builtin>();
}

int compare(const Value& a, const Value& b, std::string_view op) {
  if (a.is_number() && b.is_number()) {
    if (a.is_integral() && b.is_integral())
      return a.integer() < b.integer() ? -1 : a.integer() > b.integer();
    return a.number() < b.number() ? -1 : a.number() > b.number();
  }
  if (a.text() && b.text()) {
    const int order = a.text()->compare(*b.text());
    return order < 0 ? -1 : order > 0;
  }
  const List *x = a.as_list(), *y = b.as_list();
  if (x && y && x->kind == y->kind && (x->is(ListKind::kList) || x->is(ListKind::kTuple))) {
    const size_t n = std::min(x->items.size(), y->items.size());
    for (size_t i = 0; i < n; ++i) {
      if (!equal(x->items[i], y->items[i])) return compare(x->items[i], y->items[i], op);
    }
    return x->items.size() < y->items.size() ? -1 : x->items.size() > y->items.size();
  }
  if (const auto* undefined = a.get<Undefined>()) fail_undefined(*undefined);
  if (const auto* undefined = b.get<Undefined>()) fail_undefined(*undefined);
  throw Failure(fmt::format("'{}' not supported between instances of '{}' and '{}'", op,
                            a.type_name(), b.type_name()));
}

bool contains(const Value& container, const Value& item) {
  if (const std::string* text = container.text()) {
    const std::string* part = item.text();
    if (!part) {
      throw Failure(
          fmt::format("'in <string>' requires string as left operand, not {}", item.type_name()));
    }
    return find_in(*text, *part) != std::string::npos;
  }
  if (const Dict* dict = container.as_dict()) {
    check_hashable(item);
    return dict->find(item) != nullptr;
  }
  if (const List* list = container.as_list()) {
    return std::any_of(list->items.begin(), list->items.end(),
                       [&item](const Value& value) { return equal(value, item); });
  }
  if (container.is_undefined()) return false;
  if (container.get<std::shared_ptr<Generator>>()) {
    const std::vector<Value> items = iterate(container);
    return std::any_of(items.begin(), items.end(),
                       [&item](const Value& value) { return equal(value, item); });
  }
  throw Failure(fmt::format("argument of type '{}' is not iterable", container.type_name()));
}

int64_t length(const Value& value) {
  if (const std::string* text = value.text()) return static_cast<int64_t>(count_code_points(*text));
  if (const List* list = value.as_list()) return static_cast<int64_t>(list->items.size());
  if (const Dict* dict = value.as_dict()) return static_cast<int64_t>(dict->items.size());
  if (value.is_undefined()) return 0;
  throw Failure(fmt::format("object of type '{}' has no len()", value.type_name()));
}

std::vector<Value> iterate(const Value& value) {
  std::vector<Value> items;
  if (const List* list = value.as_list()) {
    items = list->items;
  } else if (const Dict* dict = value.as_dict()) {
    for (const auto& item : dict->items) items.push_back(item.first);
  } else if (const std::string* text = value.text()) {
    constexpr size_t kMostCharacters = size_t{4} << 20;
    if (text->size() > kMostCharacters)
      throw Failure(fmt::format("a text of more than {} bytes to loop over", kMostCharacters));
    for (std::string& character : split_code_points(*text))
      items.emplace_back(std::move(character));
  } else if (const auto* generator = value.get<std::shared_ptr<Generator>>()) {
    Generator& from = **generator;
    items.assign(from.items.begin() + static_cast<std::ptrdiff_t>(from.next), from.items.end());
    from.next = from.items.size();
    if (!from.failure.empty()) throw Failure(std::exchange(from.failure, {}));
  } else if (!value.is_undefined()) {
    throw Failure(fmt::format("'{}' object is not iterable", value.type_name()));
  }
  return items;
}

bool is_iterable(const Value& value) {
  return value.as_list() || value.as_dict() || value.text() || value.is_undefined() ||
         value.get<std::shared_ptr<Generator>>() || value.get<std::shared_ptr<LoopState>>();
}

std::string to_text(const Value& value) {
  if (const std::string* text = value.text()) return *text;
  return value.is_undefined() ? std::string() : to_repr(value);
}

std::string to_repr(const Value& value) {
  using Text = Value::Text;
  return std::visit(
      Overload{
          [](const Undefined&) -> std::string { return "Undefined"; },
          [](None) -> std::string { return "None"; },
          [](bool b) -> std::string { return b ? "True" : "False"; },
          [](int64_t i) { return std::to_string(i); }, [](double d) { return format_float(d); },
          [](const Text& text) { return python_repr(*text); },
          [](const Markup& markup) { return fmt::format("Markup({})", python_repr(*markup.text)); },
          [](const BigInteger& big) { return *big.digits; },
          [](const std::shared_ptr<const List>& list) { return list_repr(*list); },
          [](const std::shared_ptr<Namespace>& names) { return namespace_repr(*names); },
          [](const std::shared_ptr<const Dict>& dict) { return dict_repr(*dict); },
          [&value](const auto&) { return fmt::format("<{} object>", value.type_name()); }},
      value.data());
}

}  // namespace tensormill::jinja
