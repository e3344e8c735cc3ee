// Attributes, items, slices and the methods of values that aren't strings.
#include <algorithm>

#include "base/error.h"
#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/text.h"

namespace tensormill::jinja {
namespace {

using Args = const Arguments&;

constexpr std::string_view kListForbidden[] = {"append", "clear",  "extend",  "insert",
                                               "pop",    "remove", "reverse", "sort"};
constexpr std::string_view kDictForbidden[] = {"clear", "pop", "popitem", "setdefault", "update"};

template <size_t N>
bool one_of(const std::string_view (&names)[N], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

Value dict_get(const Value& self, Args args, Runtime&) {
  check_hashable(args.require(0, "key"));
  if (const Value* found = self.as_dict()->find(args.require(0, "key"))) return *found;
  const Value* otherwise = args.find(1, "default");
  return otherwise ? *otherwise : Value(None{});
}

Value dict_keys(const Value& self, Args, Runtime&) {
  return Value::list(iterate(self), ListKind::kKeys);
}

Value dict_values(const Value& self, Args, Runtime&) {
  std::vector<Value> out;
  for (const auto& item : self.as_dict()->items) out.push_back(item.second);
  return Value::list(std::move(out), ListKind::kValues);
}

Value dict_items(const Value& self, Args, Runtime&) {
  std::vector<Value> out;
  out.reserve(self.as_dict()->items.size());
  for (const auto& [key, value] : self.as_dict()->items) out.push_back(Value::tuple({key, value}));
  return Value::list(std::move(out), ListKind::kItems);
}

Value same(const Value& self, Args, Runtime&) {
  return self;
}

Value list_count(const Value& self, Args args, Runtime&) {
  const std::vector<Value>& items = self.as_list()->items;
  return static_cast<int64_t>(
      std::count_if(items.begin(), items.end(),
                    [&args](const Value& value) { return equal(value, args.positional[0]); }));
}

Value list_index(const Value& self, Args args, Runtime&) {
  const std::vector<Value>& items = self.as_list()->items;
  const auto size = static_cast<int64_t>(items.size());
  const auto bound = [&](size_t at, int64_t otherwise) {
    const int64_t value = args.integer(at, "", otherwise);
    return std::clamp<int64_t>(value < 0 ? value + size : value, 0, size);
  };
  for (int64_t i = bound(1, 0); i < bound(2, size); ++i) {
    if (equal(items[static_cast<size_t>(i)], args.positional[0])) return i;
  }
  throw Failure(fmt::format("{} is not in list", to_repr(args.positional[0])));
}

LoopState& loop_of(const Value& self) {
  return **self.get<std::shared_ptr<LoopState>>();
}

Value loop_cycle(const Value& self, Args args, Runtime&) {
  if (args.positional.empty()) throw Failure("no items for cycling given");
  return args.positional[loop_of(self).index % args.positional.size()];
}

Value loop_changed(const Value& self, Args args, Runtime& runtime) {
  LoopState& loop = loop_of(self);
  const auto& before = loop.changed;
  for (size_t i = 0; before && i < std::min(before->size(), args.positional.size()); ++i) {
    runtime.charge(std::min((*before)[i].weight(), args.positional[i].weight()) / 8);
  }
  const bool same_values =
      before && before->size() == args.positional.size() &&
      std::equal(before->begin(), before->end(), args.positional.begin(), equal);
  if (same_values) return false;
  runtime.charge(8 + args.positional.size());
  // Values that might hold this loop are let go when it ends.
  if (!loop.finished) loop.changed = std::make_unique<std::vector<Value>>(args.positional);
  return true;
}

Stepper& stepper_of(const Value& self) {
  return **self.get<std::shared_ptr<Stepper>>();
}

Value cycler_next(const Value& self, Args, Runtime&) {
  Stepper& cycler = stepper_of(self);
  const Value value = cycler.items[cycler.next];
  cycler.next = (cycler.next + 1) % cycler.items.size();
  return value;
}

Value cycler_reset(const Value& self, Args, Runtime&) {
  stepper_of(self).next = 0;
  return None{};
}

constexpr MethodRow kDictMethods[] = {{"copy", same, 0, 0, ""},
                                      {"get", dict_get, 1, 2, ""},
                                      {"items", dict_items, 0, 0, ""},
                                      {"keys", dict_keys, 0, 0, ""},
                                      {"values", dict_values, 0, 0, ""}};
constexpr MethodRow kListMethods[] = {
    {"copy", same, 0, 0, ""}, {"count", list_count, 1, 1, ""}, {"index", list_index, 1, 3, ""}};
constexpr MethodRow kLoopMethods[] = {{"changed", loop_changed, 0, 1000, ""},
                                      {"cycle", loop_cycle, 0, 1000, ""}};
constexpr MethodRow kCyclerMethods[] = {{"next", cycler_next, 0, 0, ""},
                                        {"reset", cycler_reset, 0, 0, ""}};

template <size_t N>
const MethodRow* row_of(const MethodRow (&rows)[N], std::string_view name) {
  const auto* row = std::find_if(std::begin(rows), std::end(rows),
                                 [name](const MethodRow& r) { return r.name == name; });
  return row == std::end(rows) ? nullptr : row;
}

Value item_at(const Value& owner, const std::vector<Value>& items, const Value& key) {
  const auto size = static_cast<int64_t>(items.size());
  int64_t index = key.integer();
  if (index < 0) index += size;
  if (index < 0 || index >= size) return Value::undefined_element(owner, key);
  return items[static_cast<size_t>(index)];
}

Value character_at(const Value& owner, const Value& key) {
  const std::string& text = *owner.text();
  const std::vector<size_t> offsets = code_point_offsets(text);
  const auto size = static_cast<int64_t>(offsets.size()) - 1;
  int64_t index = key.integer();
  if (index < 0) index += size;
  if (index < 0 || index >= size) return Value::undefined_element(owner, key);
  const auto i = static_cast<size_t>(index);
  std::string one = text.substr(offsets[i], offsets[i + 1] - offsets[i]);
  return owner.is_markup() ? Value::markup(std::move(one)) : Value(std::move(one));
}

Value loop_attribute(const Value& owner, const std::string& name) {
  const LoopState& loop = loop_of(owner);
  const size_t size = loop.items.size();
  if (name == "index") return static_cast<int64_t>(loop.index + 1);
  if (name == "index0") return static_cast<int64_t>(loop.index);
  if (name == "first") return loop.index == 0;
  if (name == "last") return loop.index + 1 == size;
  if (name == "length") return static_cast<int64_t>(size);
  if (name == "revindex") return static_cast<int64_t>(size - loop.index);
  if (name == "revindex0") return static_cast<int64_t>(size - loop.index - 1);
  if (name == "depth") return int64_t{loop.level + 1};
  if (name == "depth0") return int64_t{loop.level};
  if (name == "previtem") {
    return loop.index > 0 ? loop.items[loop.index - 1]
                          : Value::undefined("there is no previous item");
  }
  if (name == "nextitem") {
    return loop.index + 1 < size ? loop.items[loop.index + 1]
                                 : Value::undefined("there is no next item");
  }
  return Value::undefined_attribute(owner, name);
}

Value macro_attribute(const Value& owner, const Macro& macro, const std::string& name) {
  const MacroDefinition& definition = *macro.definition;
  if (name == "name") return definition.name;
  if (name == "catch_kwargs") return definition.uses_kwargs;
  if (name == "catch_varargs") return definition.uses_varargs;
  if (name == "caller") return definition.uses_caller;
  if (name != "arguments") return Value::undefined_attribute(owner, name);
  std::vector<Value> names;
  for (const auto& parameter : definition.parameters) names.emplace_back(parameter.name);
  return Value::tuple(std::move(names));
}

bool is_unsafe(const Value& value, std::string_view name) {
  return (value.as_dict() && one_of(kDictForbidden, name)) ||
         (value.as_list() && value.as_list()->is(ListKind::kList) && one_of(kListForbidden, name));
}

}  // namespace

const MethodRow* find_method(const Value& value, std::string_view name) {
  if (value.text()) return find_text_method(name);
  if (value.as_dict()) return row_of(kDictMethods, name);
  if (const List* list = value.as_list()) {
    const MethodRow* row = row_of(kListMethods, name);
    const bool copied = row && row->name == "copy" && !list->is(ListKind::kList);
    return list->has_elements() && !copied ? row : nullptr;
  }
  if (value.get<std::shared_ptr<LoopState>>()) return row_of(kLoopMethods, name);
  const auto* stepper = value.get<std::shared_ptr<Stepper>>();
  return stepper && !(*stepper)->joins ? row_of(kCyclerMethods, name) : nullptr;
}

bool is_plain_key(std::string_view name) {
  return !row_of(kDictMethods, name) && !one_of(kDictForbidden, name);
}

Value attribute(const Value& value, const std::string& name) {
  if (const auto* undefined = value.get<Undefined>()) fail_undefined(*undefined);
  if (const MethodRow* row = find_method(value, name))
    return Value(Value::Data(std::make_shared<const Method>(Method{value, row})));
  if (is_unsafe(value, name)) {
    return Value::undefined(
        fmt::format("access to attribute '{}' of '{}' object is unsafe.", name, value.type_name()));
  }
  if (const Dict* dict = value.as_dict()) {
    if (const Value* found = dict->find_text(name)) return *found;
  } else if (const auto* names = value.get<std::shared_ptr<Namespace>>()) {
    if (const Value* found = (*names)->attributes.find_text(name)) return *found;
  } else if (const List* list = value.as_list(); list && list->is(ListKind::kGroup)) {
    if (name == "grouper") return list->items[0];
    if (name == "list") return list->items[1];
  } else if (value.get<std::shared_ptr<LoopState>>()) {
    return loop_attribute(value, name);
  } else if (const auto* macro = value.get<std::shared_ptr<const Macro>>()) {
    return macro_attribute(value, **macro, name);
  } else if (const auto* stepper = value.get<std::shared_ptr<Stepper>>();
             stepper && name == "current" && !(*stepper)->joins) {
    return (*stepper)->items[(*stepper)->next];
  }
  return Value::undefined_attribute(value, name);
}

Value item(const Value& value, const Value& key) {
  if (const auto* undefined = value.get<Undefined>()) fail_undefined(*undefined);
  if (const Dict* dict = value.as_dict()) {
    if (const Value* found = dict->find(key)) return *found;
  } else if (key.is_integral()) {
    const List* list = value.as_list();
    if (list && list->has_elements()) return item_at(value, list->items, key);
    if (value.text()) return character_at(value, key);
  }
  if (key.text()) {
    if (value.as_dict() && !find_method(value, *key.text()) && !is_unsafe(value, *key.text()))
      return Value::undefined_attribute(value, *key.text());
    return attribute(value, *key.text());
  }
  return Value::undefined_element(value, key);
}

Value attribute_path(const Value& value, const Value& path, const Value* otherwise) {
  Value at = value;
  const auto step = [&](const Value& key) {
    at = item(at, key);
    if (at.is_undefined() && otherwise && !otherwise->is_none()) at = *otherwise;
  };
  if (path.is_none()) return at;
  if (!path.text()) {
    step(path);
    return at;
  }
  std::string_view rest = *path.text();
  while (true) {
    const size_t dot = rest.find('.');
    const std::string part(rest.substr(0, dot));
    const bool digits =
        !part.empty() && part.size() < 10 && part.find_first_not_of("0123456789") == part.npos;
    step(digits ? Value(static_cast<int64_t>(std::stoll(part))) : Value(part));
    if (dot == std::string_view::npos) return at;
    rest = rest.substr(dot + 1);
  }
}

Value slice(const Value& value, const Value& start, const Value& stop, const Value& step) {
  if (const auto* undefined = value.get<Undefined>()) fail_undefined(*undefined);
  if (!(value.as_list() && value.as_list()->has_elements()) && !value.text())
    throw Failure(fmt::format("'{}' object is not subscriptable by a slice", value.type_name()));
  const auto index = [](const Value& given) {
    if (!given.is_none() && !given.is_integral())
      throw Failure("slice indices must be integers or None or have an __index__ method");
  };
  for (const Value* given : {&start, &stop, &step}) index(*given);
  const int64_t by = step.is_none() ? 1 : step.integer();
  if (by == 0) throw Failure("slice step cannot be zero");
  if (by == INT64_MIN) throw Failure("slice step too large");
  const std::vector<Value> items = iterate(value);
  const auto size = static_cast<int64_t>(items.size());
  const int64_t low = by > 0 ? 0 : -1, high = by > 0 ? size : size - 1;
  const auto bound = [&](const Value& given, int64_t otherwise) {
    if (given.is_none()) return otherwise;
    int64_t at = given.integer();
    if (at < 0) at = at < -size ? low : at + size;
    return std::clamp(at, low, std::max(low, high));
  };
  const int64_t from = bound(start, by > 0 ? low : high);
  const int64_t to = bound(stop, by > 0 ? high : low);
  std::vector<Value> out;
  for (int64_t i = from; by > 0 ? i < to : i > to; i += by) {
    out.push_back(items[static_cast<size_t>(i)]);
    if (by > 0 ? by >= to - i : by <= to - i) break;
  }
  if (value.text()) {
    std::string text = join_texts(out, "");
    return value.is_markup() ? Value::markup(std::move(text)) : Value(std::move(text));
  }
  return Value::list(std::move(out), value.as_list()->kind);
}

namespace {

// What a method of a safe text gives is safe too.
Value marked(Value value) {
  if (const std::string* text = value.text()) return Value::markup(*text);
  const List* list = value.as_list();
  if (!list) return value;
  std::vector<Value> items;
  for (const Value& each : list->items) items.push_back(marked(each));
  return Value::list(std::move(items), list->kind);
}

// Methods whose time grows with more than the length of the value.
void charge_comparisons(const MethodRow& row, const Value& self, const Arguments& arguments,
                        Runtime& runtime) {
  constexpr size_t kBytesOfUnit = 512;
  if (self.as_list() && (row.name == "count" || row.name == "index")) {
    runtime.charge(self.weight() / 8);
  } else if (self.text() && (row.name == "rfind" || row.name == "rindex" || row.name == "rsplit" ||
                             row.name == "rpartition")) {
    const Value* wanted = arguments.find(0, "sep");
    if (wanted && wanted->text())
      runtime.charge(self.text()->size() / kBytesOfUnit * wanted->text()->size());
  }
}

Arguments escaped_arguments(const Arguments& arguments) {
  Arguments out;
  for (const Value& each : arguments.positional)
    out.positional.push_back(each.text() ? Value(escaped(each)) : each);
  for (const auto& [name, value] : arguments.named)
    out.named.emplace_back(name, value.text() ? Value(escaped(value)) : value);
  return out;
}

}  // namespace

Value call_method(const MethodRow& row, const Value& self, const Arguments& arguments,
                  Runtime& runtime) {
  const auto given = static_cast<int>(arguments.positional.size() + arguments.named.size());
  const bool any_name = row.parameters == "**";
  if (given < row.least || (!any_name && given > row.most)) {
    throw Failure(fmt::format("{}() takes {} to {} arguments ({} given)", row.name, row.least,
                              row.most, given));
  }
  for (const auto& [name, value] : arguments.named) {
    if (!any_name && !has_word(row.parameters, name))
      throw Failure(fmt::format("{}() takes no keyword argument '{}'", row.name, name));
  }
  runtime.charge(cost(self));
  charge_comparisons(row, self, arguments, runtime);
  if (!self.is_markup()) return row.call(self, arguments, runtime);
  const bool inserts =
      row.name == "replace" || row.name == "join" || row.name.starts_with("format");
  return marked(row.call(self, inserts ? escaped_arguments(arguments) : arguments, runtime));
}

}  // namespace tensormill::jinja
