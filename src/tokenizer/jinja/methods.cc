// Attributes, items, slices and methods of values.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/text.h"

namespace tensormill::jinja {
namespace {

using Args = const Arguments&;

constexpr std::string_view kTextMethods[] = {
    "capitalize",   "count",        "endswith",   "find",  "isalnum",    "isalpha", "isdigit",
    "islower",      "isspace",      "isupper",    "join",  "lower",      "lstrip",  "partition",
    "removeprefix", "removesuffix", "replace",    "rfind", "rpartition", "rsplit",  "rstrip",
    "split",        "splitlines",   "startswith", "strip", "title",      "upper"};
constexpr std::string_view kDictMethods[] = {"get", "items", "keys", "values"};
constexpr std::string_view kListMethods[] = {"count", "index"};
constexpr std::string_view kForbidden[] = {"append",     "clear",   "extend", "insert",
                                           "pop",        "popitem", "remove", "reverse",
                                           "setdefault", "sort",    "update"};

template <size_t N>
bool one_of(const std::string_view (&names)[N], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

const std::string& text_argument(Args args, size_t index, std::string_view name) {
  const Value& value = args.require(index, name);
  if (!value.text()) throw Failure(fmt::format("must be str, not {}", value.type_name()));
  return *value.text();
}

std::vector<Value> values_of(std::vector<std::string> texts) {
  std::vector<Value> out;
  out.reserve(texts.size());
  for (std::string& text : texts) out.emplace_back(std::move(text));
  return out;
}

Value strip_text(const std::string& text, Args args, bool left, bool right) {
  const Value* set = args.find(0, "chars");
  if (!set || set->is_none()) return strip(text, left, right);
  return strip_set(text, text_argument(args, 0, "chars"), left, right);
}

Value split_blanks(std::string_view text, int64_t limit, bool from_right) {
  std::vector<Value> out;
  for (text = strip(text, !from_right, from_right); !text.empty();
       text = strip(text, !from_right, from_right)) {
    if (limit >= 0 && static_cast<int64_t>(out.size()) == limit) {
      out.emplace_back(text);
      break;
    }
    size_t cut = from_right ? 0 : text.size();
    for (size_t i = 0; i < text.size();) {
      const size_t begin = i;
      if (!is_space(next_code_point(text, i))) continue;
      cut = from_right ? i : begin;
      if (!from_right) break;
    }
    out.emplace_back(from_right ? text.substr(cut) : text.substr(0, cut));
    text = from_right ? text.substr(0, cut) : text.substr(cut);
  }
  if (from_right) std::reverse(out.begin(), out.end());
  return Value::list(std::move(out));
}

Value split_text(std::string_view text, Args args, bool from_right) {
  const int64_t limit = args.integer(1, "maxsplit", -1);
  const Value* by = args.find(0, "sep");
  if (!by || by->is_none()) return split_blanks(text, limit, from_right);
  const std::string& separator = text_argument(args, 0, "sep");
  if (separator.empty()) throw Failure("empty separator");
  std::vector<Value> out;
  while (limit < 0 || static_cast<int64_t>(out.size()) < limit) {
    const size_t found = from_right ? text.rfind(separator) : text.find(separator);
    if (found == std::string_view::npos) break;
    const std::string_view head = text.substr(0, found);
    const std::string_view tail = text.substr(found + separator.size());
    out.emplace_back(from_right ? tail : head);
    text = from_right ? head : tail;
  }
  out.emplace_back(text);
  if (from_right) std::reverse(out.begin(), out.end());
  return Value::list(std::move(out));
}

Value partition(const std::string& text, Args args, bool from_right) {
  const std::string& separator = text_argument(args, 0, "sep");
  if (separator.empty()) throw Failure("empty separator");
  const size_t found = from_right ? text.rfind(separator) : text.find(separator);
  if (found == std::string::npos) {
    return from_right ? Value::list({"", "", text}, true) : Value::list({text, "", ""}, true);
  }
  return Value::list({text.substr(0, found), separator, text.substr(found + separator.size())},
                     true);
}

Value replace(const std::string& text, Args args) {
  const std::string& from = text_argument(args, 0, "old");
  const std::string& to = text_argument(args, 1, "new");
  const int64_t limit = args.integer(2, "count", -1);
  size_t found = from.empty() ? text.size() + 1 : 0;
  for (size_t at = 0; !from.empty() && (at = text.find(from, at)) != std::string::npos;
       at += from.size())
    ++found;
  check_size(text.size() + to.size() * (found + 1));
  return replace_all(text, from, to, limit);
}

Value find_text(const std::string& text, Args args, bool last) {
  const std::string& part = text_argument(args, 0, "sub");
  const size_t found = last ? text.rfind(part) : text.find(part);
  if (found == std::string::npos) return int64_t{-1};
  return static_cast<int64_t>(count_code_points(std::string_view(text).substr(0, found)));
}

Value count_text(const std::string& text, Args args) {
  const std::string& part = text_argument(args, 0, "sub");
  if (part.empty()) return static_cast<int64_t>(count_code_points(text) + 1);
  int64_t count = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++count;
  return count;
}

// startswith and endswith take one text or a tuple of them.
bool has_affix(const std::string& text, Args args, bool prefix) {
  const Value& affix = args.require(0, "prefix");
  const auto matches = [&](const Value& value) {
    if (!value.text()) {
      throw Failure(fmt::format("{} first arg must be str or a tuple of str, not {}",
                                prefix ? "startswith" : "endswith", value.type_name()));
    }
    return prefix ? text.starts_with(*value.text()) : text.ends_with(*value.text());
  };
  const List* list = affix.as_list();
  if (!list || !list->tuple) return matches(affix);
  return std::any_of(list->items.begin(), list->items.end(), matches);
}

template <class Predicate>
bool all_code_points(const std::string& text, Predicate&& predicate) {
  for (size_t i = 0; i < text.size();) {
    if (!predicate(next_code_point(text, i))) return false;
  }
  return !text.empty();
}

Value classify(const std::string& text, std::string_view name) {
  if (name == "islower") return lower(text) == text && upper(text) != text;
  if (name == "isupper") return upper(text) == text && lower(text) != text;
  return all_code_points(text, [name](int32_t c) {
    if (name == "isspace") return is_space(c);
    const bool digit = c >= '0' && c <= '9';
    const bool letter = c >= 0x80 ? !is_space(c) : (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    return (digit && name != "isalpha") || (letter && name != "isdigit");
  });
}

Value join_method(const std::string& text, Args args) {
  const std::vector<Value> items = iterate(args.require(0, "iterable"));
  for (const Value& each : items) {
    if (!each.text()) {
      throw Failure(
          fmt::format("sequence item: expected str instance, {} found", each.type_name()));
    }
  }
  return join_texts(items, text);
}

Value call_text(const std::string& text, std::string_view name, Args args) {
  if (name == "strip") return strip_text(text, args, true, true);
  if (name == "lstrip") return strip_text(text, args, true, false);
  if (name == "rstrip") return strip_text(text, args, false, true);
  if (name == "split") return split_text(text, args, false);
  if (name == "rsplit") return split_text(text, args, true);
  if (name == "partition") return partition(text, args, false);
  if (name == "rpartition") return partition(text, args, true);
  if (name == "startswith") return has_affix(text, args, true);
  if (name == "endswith") return has_affix(text, args, false);
  if (name == "replace") return replace(text, args);
  if (name == "upper") return upper(text);
  if (name == "lower") return lower(text);
  if (name == "title") return title(text);
  if (name == "capitalize") return capitalize(text);
  if (name == "find") return find_text(text, args, false);
  if (name == "rfind") return find_text(text, args, true);
  if (name == "count") return count_text(text, args);
  if (name == "join") return join_method(text, args);
  if (name == "splitlines")
    return Value::list(values_of(split_lines(text, args.flag(0, "keepends", false))));
  if (name == "removeprefix" || name == "removesuffix") {
    const std::string& affix = text_argument(args, 0, "affix");
    const bool prefix = name == "removeprefix";
    if (!(prefix ? text.starts_with(affix) : text.ends_with(affix))) return text;
    return text.substr(prefix ? affix.size() : 0, text.size() - affix.size());
  }
  return classify(text, name);
}

Value call_dict(const Dict& dict, std::string_view name, Args args) {
  if (name == "get") {
    if (const Value* found = dict.find(args.require(0, "key"))) return *found;
    const Value* otherwise = args.find(1, "default");
    return otherwise ? *otherwise : Value(None{});
  }
  std::vector<Value> out;
  for (const auto& [key, value] : dict.items) {
    if (name == "keys") out.push_back(key);
    if (name == "values") out.push_back(value);
    if (name == "items") out.push_back(Value::list({key, value}, true));
  }
  return Value::list(std::move(out));
}

Value call_list(const List& list, std::string_view name, Args args) {
  const Value& wanted = args.require(0, "value");
  int64_t count = 0;
  for (size_t i = 0; i < list.items.size(); ++i) {
    if (!equal(list.items[i], wanted)) continue;
    if (name == "index") return static_cast<int64_t>(i);
    ++count;
  }
  if (name == "index") throw Failure("value is not in list");
  return count;
}

Value item_at(const std::vector<Value>& items, int64_t index) {
  const auto size = static_cast<int64_t>(items.size());
  if (index < 0) index += size;
  if (index < 0 || index >= size) return Value::undefined("list object has no such element");
  return items[static_cast<size_t>(index)];
}

Value character_at(const std::string& text, int64_t index) {
  const std::vector<size_t> offsets = code_point_offsets(text);
  const auto size = static_cast<int64_t>(offsets.size()) - 1;
  if (index < 0) index += size;
  if (index < 0 || index >= size) return Value::undefined("str object has no such element");
  const auto i = static_cast<size_t>(index);
  return text.substr(offsets[i], offsets[i + 1] - offsets[i]);
}

Value loop_attribute(const LoopState& loop, std::string_view name) {
  const size_t size = loop.items->size();
  if (name == "index") return static_cast<int64_t>(loop.index + 1);
  if (name == "index0") return static_cast<int64_t>(loop.index);
  if (name == "revindex") return static_cast<int64_t>(size - loop.index);
  if (name == "revindex0") return static_cast<int64_t>(size - loop.index - 1);
  if (name == "first") return loop.index == 0;
  if (name == "last") return loop.index + 1 == size;
  if (name == "length") return static_cast<int64_t>(size);
  if (name == "depth") return int64_t{1};  // counts recursion, which there is none of
  if (name == "depth0") return int64_t{0};
  if (name == "previtem") {
    return loop.index > 0 ? (*loop.items)[loop.index - 1]
                          : Value::undefined("there is no previous item");
  }
  if (name == "nextitem") {
    return loop.index + 1 < size ? (*loop.items)[loop.index + 1]
                                 : Value::undefined("there is no next item");
  }
  return Value::undefined(fmt::format("'loop' has no attribute '{}'", name));
}

std::string owner(const Value& value) {
  return value.get<std::shared_ptr<Namespace>>() ? "namespace object"
                                                 : value.type_name() + " object";
}

}  // namespace

bool has_method(const Value& value, std::string_view name) {
  if (value.text()) return one_of(kTextMethods, name);
  if (value.as_dict()) return one_of(kDictMethods, name);
  if (value.as_list()) return one_of(kListMethods, name);
  return value.get<std::shared_ptr<const LoopState>>() && name == "cycle";
}

Value attribute(const Value& value, const std::string& name) {
  if (const auto* undefined = value.get<Undefined>()) throw Failure(undefined->reason);
  if (has_method(value, name))
    return Value(Value::Data(std::make_shared<const Method>(Method{value, name})));
  if (const Dict* dict = value.as_dict()) {
    if (const Value* found = dict->find_text(name)) return *found;
  } else if (const auto* names = value.get<std::shared_ptr<Namespace>>()) {
    if (const Value* found = (*names)->attributes.find_text(name)) return *found;
  } else if (const auto* loop = value.get<std::shared_ptr<const LoopState>>()) {
    return loop_attribute(**loop, name);
  }
  if ((value.as_list() || value.as_dict()) && one_of(kForbidden, name)) {
    throw Failure(
        fmt::format("access to attribute '{}' of '{}' object is unsafe.", name, value.type_name()));
  }
  return Value::undefined(fmt::format("'{}' has no attribute '{}'", owner(value), name));
}

Value item(const Value& value, const Value& key) {
  if (const auto* undefined = value.get<Undefined>()) throw Failure(undefined->reason);
  if (const Dict* dict = value.as_dict()) {
    if (const Value* found = dict->find(key)) return *found;
  } else if (key.is_integral()) {
    if (const List* list = value.as_list()) return item_at(list->items, key.integer());
    if (const std::string* text = value.text()) return character_at(*text, key.integer());
  }
  if (key.text()) return attribute(value, *key.text());
  return Value::undefined(fmt::format("'{}' has no element {}", owner(value), to_repr(key)));
}

Value attribute_path(const Value& value, const Value& path) {
  if (!path.text()) return item(value, path);
  Value at = value;
  std::string_view rest = *path.text();
  while (true) {
    const size_t dot = rest.find('.');
    const std::string part(rest.substr(0, dot));
    const bool digits =
        !part.empty() && part.size() < 10 && part.find_first_not_of("0123456789") == part.npos;
    at = item(at, digits ? Value(static_cast<int64_t>(std::stoll(part))) : Value(part));
    if (dot == std::string_view::npos) return at;
    rest = rest.substr(dot + 1);
  }
}

Value slice(const Value& value, const Value& start, const Value& stop, const Value& step) {
  const int64_t by = step.is_none() ? 1 : step.integer();
  if (by == 0) throw Failure("slice step cannot be zero");
  if (by == INT64_MIN) throw Failure("slice step too large");
  if (!value.as_list() && !value.text()) {
    if (const auto* undefined = value.get<Undefined>()) throw Failure(undefined->reason);
    return Value::undefined(fmt::format("'{}' can't be sliced", owner(value)));
  }
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
  if (value.text()) return join_texts(out, "");
  return Value::list(std::move(out), value.as_list()->tuple);
}

Value call_method(const Method& method, const Arguments& arguments, Runtime& runtime) {
  runtime.charge(cost(method.self));
  if (const std::string* text = method.self.text()) return call_text(*text, method.name, arguments);
  if (const Dict* dict = method.self.as_dict()) return call_dict(*dict, method.name, arguments);
  if (const List* list = method.self.as_list()) return call_list(*list, method.name, arguments);
  if (arguments.positional.empty()) throw Failure("no items for cycling given");
  const LoopState& loop = **method.self.get<std::shared_ptr<const LoopState>>();
  return arguments.positional[loop.index % arguments.positional.size()];
}

}  // namespace tensormill::jinja
