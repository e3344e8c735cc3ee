// Filters of lists, dicts and what else can be looped over.
#include <algorithm>
#include <random>

#include "base/error.h"
#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/text.h"

namespace tensormill::jinja {
namespace {

using Args = const Arguments&;

// A generator of what `next` makes of each item: null keeps nothing of it. The first failure is
// shown when an item behind it is asked for, since jinja computes items when they are taken.
template <class Next>
Value generate(const Value& value, Runtime& runtime, Next&& next) {
  std::vector<Value> out;
  std::string failure;
  for (const Value& each : iterate(value)) {
    runtime.charge(cost(each));
    try {
      next(out, each);
    } catch (const Failure& error) {
      failure = error.what();
      break;
    }
  }
  return Value::generator(std::move(out), std::move(failure));
}

Value filter_length(const Value& value, Args, Runtime&) {
  return length(value);
}
Value filter_list(const Value& value, Args, Runtime&) {
  return Value::list(iterate(value));
}

Value filter_join(const Value& value, Args args, Runtime&) {
  std::vector<Value> items = iterate(value);
  if (const Value* path = args.find(1, "attribute"); path && !path->is_none()) {
    for (Value& each : items) each = attribute_path(each, *path);
  }
  return join_texts(items, args.text(0, "d", ""));
}

Value filter_items(const Value& value, Args, Runtime&) {
  if (value.is_undefined()) return Value::generator({});
  const Dict* dict = value.as_dict();
  if (!dict) return Value::generator({}, "Can only get item pairs from a mapping.");
  std::vector<Value> items;
  for (const auto& [key, each] : dict->items) items.push_back(Value::tuple({key, each}));
  return Value::generator(std::move(items));
}

Value filter_first(const Value& value, Args, Runtime&) {
  if (const auto* generator = value.get<std::shared_ptr<Generator>>()) {
    Generator& from = **generator;
    if (from.next < from.items.size()) return from.items[from.next++];
  }
  std::vector<Value> items = iterate(value);
  return items.empty() ? Value::undefined("No first item, sequence was empty.") : items.front();
}

Value filter_last(const Value& value, Args, Runtime&) {
  if (value.get<std::shared_ptr<Generator>>())
    throw Failure("'generator' object is not reversible");
  std::vector<Value> items = iterate(value);
  return items.empty() ? Value::undefined("No last item, sequence was empty.") : items.back();
}

Value filter_random(const Value& value, Args, Runtime&) {
  const int64_t size = length(value);
  if (size == 0) return Value::undefined("No random item, sequence was empty.");
  static thread_local std::mt19937_64 generator{std::random_device{}()};
  const Value index(std::uniform_int_distribution<int64_t>(0, size - 1)(generator));
  Value chosen = item(value, index);
  if (chosen.is_undefined())
    throw Failure(fmt::format("'{}' object has no item {}", value.type_name(), to_repr(index)));
  return chosen;
}

Value filter_reverse(const Value& value, Args, Runtime&) {
  std::vector<Value> items = iterate(value);
  std::reverse(items.begin(), items.end());
  if (value.text()) return join_texts(items, "");
  if (value.get<std::shared_ptr<Generator>>()) return Value::list(std::move(items));
  return Value::generator(std::move(items));
}

// What `sort` and `unique` compare: small letters unless case_sensitive.
Value folded(const Value& key, bool case_sensitive) {
  return key.text() && !case_sensitive ? Value(lower(*key.text())) : key;
}

Value sort_key(const Value& value, const Value* path, bool case_sensitive) {
  return folded(path && !path->is_none() ? attribute_path(value, *path) : value, case_sensitive);
}

// "a,b": several keys, one after the other.
Value sort_keys(const Value& value, const Value* path, bool case_sensitive) {
  if (!path || !path->text()) return Value::list({sort_key(value, path, case_sensitive)});
  std::vector<Value> keys;
  std::string_view rest = *path->text();
  while (true) {
    const size_t comma = rest.find(',');
    const Value part(rest.substr(0, comma));
    keys.push_back(sort_key(value, &part, case_sensitive));
    if (comma == std::string_view::npos) return Value::list(std::move(keys));
    rest = rest.substr(comma + 1);
  }
}

std::vector<Value> sorted(std::vector<Value> items, const Value* path, bool case_sensitive,
                          bool reverse) {
  std::vector<std::pair<Value, Value>> keyed;
  for (Value& each : items)
    keyed.emplace_back(sort_keys(each, path, case_sensitive), std::move(each));
  std::stable_sort(keyed.begin(), keyed.end(), [reverse](const auto& a, const auto& b) {
    return reverse ? compare(b.first, a.first, "<") < 0 : compare(a.first, b.first, "<") < 0;
  });
  for (size_t i = 0; i < items.size(); ++i) items[i] = std::move(keyed[i].second);
  return items;
}

// Ordering compares each item some 16 times, and all that is in it.
void charge_order(const Value& value, Runtime& runtime) {
  runtime.charge(2 * value.weight());
}

Value filter_sort(const Value& value, Args args, Runtime& runtime) {
  charge_order(value, runtime);
  return Value::list(sorted(iterate(value), args.find(2, "attribute"),
                            args.flag(1, "case_sensitive", false), args.flag(0, "reverse", false)));
}

Value filter_dictsort(const Value& value, Args args, Runtime& runtime) {
  charge_order(value, runtime);
  const std::string by = args.text(1, "by", "key");
  if (by != "key" && by != "value")
    throw Failure("You can only sort by either \"key\" or \"value\"");
  if (const auto* undefined = value.get<Undefined>()) fail_undefined(*undefined);
  const Dict* dict = value.as_dict();
  if (!dict) throw Failure(fmt::format("'{}' object has no attribute 'items'", value.type_name()));
  std::vector<Value> items;
  for (const auto& [key, each] : dict->items) items.push_back(Value::tuple({key, each}));
  const Value path(int64_t{by == "value"});
  return Value::list(sorted(std::move(items), &path, args.flag(0, "case_sensitive", false),
                            args.flag(2, "reverse", false)));
}

Value filter_unique(const Value& value, Args args, Runtime& runtime) {
  const bool case_sensitive = args.flag(0, "case_sensitive", false);
  std::vector<Value> seen;
  return generate(value, runtime, [&](std::vector<Value>& out, const Value& each) {
    Value key = sort_key(each, args.find(1, "attribute"), case_sensitive);
    check_hashable(key);
    runtime.charge((1 + seen.size()) * (1 + key.weight() / 64));
    const auto same = [&key](const Value& other) { return equal(key, other); };
    if (std::any_of(seen.begin(), seen.end(), same)) return;
    seen.push_back(std::move(key));
    out.push_back(each);
  });
}

// Groups of equal keys, as (key, items) with those names.
Value filter_groupby(const Value& value, Args args, Runtime& runtime) {
  const Value& path = args.require(0, "attribute");
  const Value* otherwise = args.find(1, "default");
  const bool case_sensitive = args.flag(2, "case_sensitive", false);
  charge_order(value, runtime);
  const auto key_of = [&](const Value& each) {
    Value key = attribute_path(each, path);
    return key.is_undefined() && otherwise && !otherwise->is_none() ? *otherwise : key;
  };
  std::vector<std::pair<Value, Value>> keyed;
  for (const Value& each : iterate(value)) {
    runtime.charge(1);
    keyed.emplace_back(folded(key_of(each), case_sensitive), each);
  }
  std::stable_sort(keyed.begin(), keyed.end(),
                   [](const auto& a, const auto& b) { return compare(a.first, b.first, "<") < 0; });
  std::vector<Value> groups;
  for (size_t i = 0; i < keyed.size();) {
    std::vector<Value> items;
    const size_t first = i;
    for (; i < keyed.size() && equal(keyed[i].first, keyed[first].first); ++i)
      items.push_back(keyed[i].second);
    groups.push_back(Value::list({key_of(items.front()), Value::list(items)}, ListKind::kGroup));
  }
  return Value::list(std::move(groups));
}

Value extreme(const Value& value, Args args, Runtime& runtime, int sign) {
  runtime.charge(value.weight() / 4);
  const std::vector<Value> items = iterate(value);
  if (items.empty()) return Value::undefined("No aggregated item, sequence was empty.");
  const bool case_sensitive = args.flag(0, "case_sensitive", false);
  const Value* path = args.find(1, "attribute");
  const Value* best = &items[0];
  Value best_key = sort_key(*best, path, case_sensitive);
  for (size_t i = 1; i < items.size(); ++i) {
    Value key = sort_key(items[i], path, case_sensitive);
    if (compare(key, best_key, "<") * sign <= 0) continue;
    best = &items[i];
    best_key = std::move(key);
  }
  return *best;
}
Value filter_min(const Value& value, Args args, Runtime& runtime) {
  return extreme(value, args, runtime, -1);
}
Value filter_max(const Value& value, Args args, Runtime& runtime) {
  return extreme(value, args, runtime, 1);
}

Value filter_sum(const Value& value, Args args, Runtime& runtime) {
  const Value* path = args.find(0, "attribute");
  const Value* start = args.find(1, "start");
  Value total = start ? *start : Value(int64_t{0});
  if (total.text()) throw Failure("sum() can't sum strings [use ''.join(seq) instead]");
  for (const Value& each : iterate(value)) {
    total = binary(Operator::kAdd, total,
                   path && !path->is_none() ? attribute_path(each, *path) : each);
    runtime.charge(cost(total));
  }
  return total;
}

Value map_attribute(const Value& value, Args args, Runtime& runtime) {
  const Value *path = nullptr, *otherwise = nullptr;
  for (const auto& [name, given] : args.named) {
    if (name != "attribute" && name != "default")
      return Value::generator({}, fmt::format("Unexpected keyword argument '{}'", name));
    (name == "attribute" ? path : otherwise) = &given;
  }
  return generate(value, runtime, [&](std::vector<Value>& out, const Value& each) {
    out.push_back(attribute_path(each, *path, otherwise));
  });
}

Value filter_map(const Value& value, Args args, Runtime& runtime) {
  if (!value.truth()) return Value::generator({});
  if (args.positional.empty()) {
    const bool by_attribute = std::any_of(args.named.begin(), args.named.end(),
                                          [](const auto& n) { return n.first == "attribute"; });
    if (by_attribute) return map_attribute(value, args, runtime);
    return Value::generator({}, "map requires a filter argument");
  }
  const std::string name = to_text(args.positional[0]);
  const FilterRow* filter = find_filter(name);
  if (!filter) return Value::generator({}, fmt::format("No filter named '{}'.", name));
  const Arguments rest{{args.positional.begin() + 1, args.positional.end()}, args.named};
  return generate(value, runtime, [&](std::vector<Value>& out, const Value& each) {
    out.push_back(apply_filter(*filter, each, rest, runtime));
    runtime.charge(cost(out.back()));
  });
}

Value select(const Value& value, Args args, Runtime& runtime, bool keep, bool by_attribute) {
  if (!value.truth()) return Value::generator({});
  const size_t at = by_attribute ? 1 : 0;  // where the test's name stands
  if (args.positional.size() < at)
    return Value::generator({}, "Missing parameter for attribute name");
  const Value* path = by_attribute ? &args.positional[0] : nullptr;
  const TestRow* test = nullptr;
  Arguments rest{{}, args.named};
  if (args.positional.size() > at) {
    const std::string name = to_text(args.positional[at]);
    test = find_test(name);
    if (!test) return Value::generator({}, fmt::format("No test named '{}'.", name));
    rest.positional.assign(args.positional.begin() + static_cast<std::ptrdiff_t>(at) + 1,
                           args.positional.end());
  }
  return generate(value, runtime, [&](std::vector<Value>& out, const Value& each) {
    const Value tested = path ? attribute_path(each, *path) : each;
    runtime.charge(cost(tested));
    if ((test ? apply_test(*test, tested, rest) : tested.truth()) == keep) out.push_back(each);
  });
}
Value filter_select(const Value& v, Args a, Runtime& r) {
  return select(v, a, r, true, false);
}
Value filter_reject(const Value& v, Args a, Runtime& r) {
  return select(v, a, r, false, false);
}
Value filter_selectattr(const Value& v, Args a, Runtime& r) {
  return select(v, a, r, true, true);
}
Value filter_rejectattr(const Value& v, Args a, Runtime& r) {
  return select(v, a, r, false, true);
}

Value filter_batch(const Value& value, Args args, Runtime&) {
  const int64_t size = args.require(0, "linecount").integer();
  const Value* fill = args.find(1, "fill_with");
  std::vector<Value> batches, batch;
  for (Value& each : iterate(value)) {
    if (static_cast<int64_t>(batch.size()) == size)
      batches.push_back(Value::list(std::exchange(batch, {})));
    batch.push_back(std::move(each));
  }
  if (!batch.empty()) {
    check_size(static_cast<size_t>(std::max<int64_t>(size, 0)));
    while (fill && !fill->is_none() && static_cast<int64_t>(batch.size()) < size)
      batch.push_back(*fill);
    batches.push_back(Value::list(std::move(batch)));
  }
  return Value::generator(std::move(batches));
}

Value filter_slice(const Value& value, Args args, Runtime& runtime) {
  const int64_t slices = args.require(0, "slices").integer();
  const Value* fill = args.find(1, "fill_with");
  const std::vector<Value> items = iterate(value);
  if (slices == 0) return Value::generator({}, "integer division or modulo by zero");
  if (slices < 0) return Value::generator({});
  runtime.charge(static_cast<size_t>(slices));
  const size_t count = static_cast<size_t>(slices), each = items.size() / count;
  const size_t longer = items.size() % count;
  std::vector<Value> out;
  auto at = items.begin();
  for (size_t i = 0; i < count; ++i) {
    const auto end = at + static_cast<std::ptrdiff_t>(each + (i < longer ? 1 : 0));
    std::vector<Value> part(at, end);
    if (fill && !fill->is_none() && i >= longer) part.push_back(*fill);
    out.push_back(Value::list(std::move(part)));
    at = end;
  }
  return Value::generator(std::move(out));
}

constexpr FilterRow kFilters[] = {
    {"batch", filter_batch, "linecount fill_with"},
    {"count", filter_length, ""},
    {"dictsort", filter_dictsort, "case_sensitive by reverse"},
    {"first", filter_first, ""},
    {"groupby", filter_groupby, "attribute default case_sensitive"},
    {"items", filter_items, ""},
    {"join", filter_join, "d attribute"},
    {"last", filter_last, ""},
    {"length", filter_length, ""},
    {"list", filter_list, ""},
    {"map", filter_map, "* **"},
    {"max", filter_max, "case_sensitive attribute"},
    {"min", filter_min, "case_sensitive attribute"},
    {"random", filter_random, ""},
    {"reject", filter_reject, "* **"},
    {"rejectattr", filter_rejectattr, "* **"},
    {"reverse", filter_reverse, ""},
    {"select", filter_select, "* **"},
    {"selectattr", filter_selectattr, "* **"},
    {"slice", filter_slice, "slices fill_with"},
    {"sort", filter_sort, "reverse case_sensitive attribute"},
    {"sum", filter_sum, "attribute start"},
    {"unique", filter_unique, "case_sensitive attribute"},
};

}  // namespace

bool takes_items(const FilterRow* row) {
  return row >= std::begin(kFilters) && row < std::end(kFilters) && row->apply != filter_length &&
         row->apply != filter_random;
}

std::span<const FilterRow> sequence_filters() {
  return kFilters;
}

}  // namespace tensormill::jinja
