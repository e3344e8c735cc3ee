#include "tokenizer/jinja/value.h"

#include <algorithm>
#include <memory>

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

std::string dict_repr(const Dict& dict) {
  std::string out = "{";
  for (const auto& [key, value] : dict.items) {
    if (out.size() > 1) out += ", ";
    out += to_repr(key) + ": " + to_repr(value);
  }
  return out + "}";
}

}  // namespace

int checked_depth(int inner) {
  constexpr int kMaxDepth = 128;
  if (inner >= kMaxDepth) throw Failure(fmt::format("value nested deeper than {}", kMaxDepth));
  return inner + 1;
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

Value Value::list(std::vector<Value> items, bool tuple) {
  int depth = 0;
  size_t weight = 1;
  for (const Value& item : items) {
    depth = std::max(depth, item.depth());
    weight = checked_weight(weight + item.weight());
  }
  List list{std::move(items), tuple, checked_depth(depth), weight};
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

Value Value::from_json(const OrderedJson& json) {
  switch (json.type()) {
    case OrderedJson::value_t::null:
      return None{};
    case OrderedJson::value_t::boolean:
      return json.get<bool>();
    case OrderedJson::value_t::number_integer:
      return json.get<int64_t>();
    case OrderedJson::value_t::number_unsigned: {
      const auto value = json.get<uint64_t>();
      if (value > static_cast<uint64_t>(INT64_MAX)) return static_cast<double>(value);
      return static_cast<int64_t>(value);
    }
    case OrderedJson::value_t::number_float:
      return json.get<double>();
    case OrderedJson::value_t::string: {
      const auto& text = json.get_ref<const std::string&>();
      if (!is_utf8(text)) throw Failure("a string that is no valid UTF-8");
      return text;
    }
    case OrderedJson::value_t::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const OrderedJson& item : json) items.push_back(from_json(item));
      return list(std::move(items));
    }
    case OrderedJson::value_t::object: {
      Dict dict;
      dict.items.reserve(json.size());
      for (const auto& [key, value] : json.items())
        dict.items.emplace_back(Value(key), from_json(value));
      return Value::dict(std::move(dict));
    }
    default:
      throw Failure("a value of binary or discarded type");
  }
}

bool Value::is_callable() const {
  return get<std::shared_ptr<const Macro>>() || get<std::shared_ptr<const Method>>() ||
         get<Builtin>();
}

bool Value::truth() const {
  return std::visit(
      Overload{[](const Undefined&) { return false; }, [](None) { return false; },
               [](bool b) { return b; }, [](int64_t i) { return i != 0; },
               [](double d) { return d != 0; }, [](const Text& text) { return !text->empty(); },
               [](const std::shared_ptr<const List>& l) { return !l->items.empty(); },
               [](const std::shared_ptr<const Dict>& d) { return !d->items.empty(); },
               [](const auto&) { return true; }},
      data_);
}

double Value::number() const {
  if (const auto* d = get<double>()) return *d;
  return static_cast<double>(integer());
}

int64_t Value::integer() const {
  if (const auto* i = get<int64_t>()) return *i;
  if (const auto* b = get<bool>()) return *b;
  throw Failure(fmt::format("'{}' object cannot be interpreted as an integer", type_name()));
}

int Value::depth() const {
  if (const List* list = as_list()) return list->depth;
  if (const Dict* dict = as_dict()) return dict->depth;
  if (const auto* loop = get<std::shared_ptr<const LoopState>>()) return (*loop)->depth;
  const auto* method = get<std::shared_ptr<const Method>>();
  return method ? (*method)->self.depth() : 0;
}

size_t Value::weight() const {
  if (const std::string* string = text()) return 8 + string->size();
  if (const List* list = as_list()) return 8 + list->weight;
  if (const Dict* dict = as_dict()) return 8 + dict->weight;
  return 8;
}

std::string Value::type_name() const {
  static constexpr const char* kNames[] = {
      "Undefined", "NoneType",  "bool",        "int",   "float",  "str",     "list",
      "dict",      "Namespace", "LoopContext", "Macro", "method", "function"};
  if (const List* list = as_list(); list && list->tuple) return "tuple";
  return kNames[data_.index()];
}

bool equal(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.is_integral() && b.is_integral()) return a.integer() == b.integer();
    return a.number() == b.number();
  }
  if (a.data().index() != b.data().index()) return false;
  if (const std::string* text = a.text()) return *text == *b.text();
  if (const List* x = a.as_list()) {
    const List* y = b.as_list();
    return x->tuple == y->tuple && x->items.size() == y->items.size() &&
           std::equal(x->items.begin(), x->items.end(), y->items.begin(), equal);
  }
  if (const Dict* x = a.as_dict()) {
    const Dict* y = b.as_dict();
    if (x->items.size() != y->items.size()) return false;
    return std::all_of(x->items.begin(), x->items.end(), [y](const auto& item) {
      const Value* other = y->find(item.first);
      return other && equal(item.second, *other);
    });
  }
  if (a.is_undefined() || a.is_none()) return true;
  if (const auto* x = a.get<std::shared_ptr<Namespace>>())
    return *x == *b.get<std::shared_ptr<Namespace>>();
  return false;
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
  if (x && y && x->tuple == y->tuple) {
    const size_t n = std::min(x->items.size(), y->items.size());
    for (size_t i = 0; i < n; ++i) {
      if (!equal(x->items[i], y->items[i])) return compare(x->items[i], y->items[i], op);
    }
    return x->items.size() < y->items.size() ? -1 : x->items.size() > y->items.size();
  }
  if (const auto* undefined = a.get<Undefined>()) throw Failure(undefined->reason);
  if (const auto* undefined = b.get<Undefined>()) throw Failure(undefined->reason);
  throw Failure(fmt::format("'{}' not supported between instances of '{}' and '{}'", op,
                            a.type_name(), b.type_name()));
}

bool contains(const Value& container, const Value& item) {
  if (const std::string* text = container.text()) {
    const std::string* part = item.text();
    if (const auto* undefined = item.get<Undefined>()) throw Failure(undefined->reason);
    if (!part) {
      throw Failure(
          fmt::format("'in <string>' requires string as left operand, not {}", item.type_name()));
    }
    return text->find(*part) != std::string::npos;
  }
  if (const Dict* dict = container.as_dict()) return dict->find(item) != nullptr;
  if (const List* list = container.as_list()) {
    return std::any_of(list->items.begin(), list->items.end(),
                       [&item](const Value& value) { return equal(value, item); });
  }
  if (container.is_undefined()) return false;
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
    for (std::string& character : split_code_points(*text))
      items.emplace_back(std::move(character));
  } else if (!value.is_undefined()) {
    throw Failure(fmt::format("'{}' object is not iterable", value.type_name()));
  }
  return items;
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
          [](const std::shared_ptr<const List>& list) -> std::string {
            if (!list->tuple) return fmt::format("[{}]", joined(list->items));
            return fmt::format("({}{})", joined(list->items), list->items.size() == 1 ? "," : "");
          },
          [](const std::shared_ptr<const Dict>& dict) { return dict_repr(*dict); },
          [](const auto&) -> std::string { return ""; }},
      value.data());
}

namespace {

class JsonWriter {
 public:
  explicit JsonWriter(const JsonStyle& style) : style_(style) {}

  void write(const Value& value, int level) {
    if (value.is_none()) {
      out_ += "null";
    } else if (const bool* b = value.get<bool>()) {
      out_ += *b ? "true" : "false";
    } else if (const std::string* text = value.text()) {
      out_ += json_quote(*text, style_.ascii);
    } else if (const double* d = value.get<double>()) {
      const std::string text_of = format_float(*d);
      out_ += text_of == "inf"    ? "Infinity"
              : text_of == "-inf" ? "-Infinity"
              : text_of == "nan"  ? "NaN"
                                  : text_of;
    } else if (value.is_integral()) {
      out_ += std::to_string(value.integer());
    } else if (const List* list = value.as_list()) {
      write_list(*list, level);
    } else if (const Dict* dict = value.as_dict()) {
      write_dict(*dict, level);
    } else {
      throw Failure(fmt::format("Object of type {} is not JSON serializable", value.type_name()));
    }
  }
  std::string take() { return std::move(out_); }

 private:
  void new_line(int level) {
    if (!style_.multi_line) return;
    out_ += '\n';
    for (int i = 0; i < level; ++i) out_ += style_.indent;
  }

  void write_list(const List& list, int level) {
    out_ += '[';
    bool first = true;
    for (const Value& item : list.items) {
      if (!first) out_ += style_.item_separator;
      first = false;
      new_line(level + 1);
      write(item, level + 1);
    }
    if (!first) new_line(level);
    out_ += ']';
  }

  void write_dict(const Dict& dict, int level) {
    auto items = dict.items;
    if (style_.sort_keys) {
      std::stable_sort(items.begin(), items.end(), [](const auto& a, const auto& b) {
        return compare(a.first, b.first, "<") < 0;
      });
    }
    out_ += '{';
    bool first = true;
    for (const auto& [key, value] : items) {
      if (!first) out_ += style_.item_separator;
      first = false;
      new_line(level + 1);
      write_key(key);
      out_ += style_.key_separator;
      write(value, level + 1);
    }
    if (!first) new_line(level);
    out_ += '}';
  }

  void write_key(const Value& key) {
    if (key.text()) {
      write(key, 0);
      return;
    }
    JsonWriter plain(style_);
    plain.write(key, 0);
    out_ += '"' + plain.take() + '"';
  }

  const JsonStyle& style_;
  std::string out_;
};

}  // namespace

std::string to_json(const Value& value, const JsonStyle& style) {
  JsonWriter writer(style);
  writer.write(value, 0);
  return writer.take();
}

}  // namespace tensormill::jinja
