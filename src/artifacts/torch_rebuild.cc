#include "artifacts/torch_rebuild.h"

#include <fmt/format.h>

#include <optional>
#include <string_view>

namespace tensormill {
namespace {

using Kind = Pickle::Kind;
using Value = Pickle::Value;

struct TypeName {
  std::string_view name;
  DType type;
};
constexpr TypeName kStorages[] = {
    {"torch DoubleStorage", DType::kF64}, {"torch FloatStorage", DType::kF32},
    {"torch HalfStorage", DType::kF16},   {"torch BFloat16Storage", DType::kBF16},
    {"torch LongStorage", DType::kI64},   {"torch IntStorage", DType::kI32},
    {"torch ShortStorage", DType::kI16},  {"torch CharStorage", DType::kI8},
    {"torch ByteStorage", DType::kU8},    {"torch BoolStorage", DType::kBool}};
constexpr TypeName kTypes[] = {{"torch float64", DType::kF64}, {"torch float32", DType::kF32},
                               {"torch float16", DType::kF16}, {"torch bfloat16", DType::kBF16},
                               {"torch int64", DType::kI64},   {"torch int32", DType::kI32},
                               {"torch int16", DType::kI16},   {"torch int8", DType::kI8},
                               {"torch uint8", DType::kU8},    {"torch bool", DType::kBool}};
constexpr size_t kMaxRank = 16;

template <size_t N>
std::optional<DType> type_of(const TypeName (&table)[N], std::string_view name) {
  for (const TypeName& row : table) {
    if (row.name == name) return row.type;
  }
  return std::nullopt;
}

Value inert(std::string why, bool carries_data) {
  Value value;
  value.kind = Kind::kInert;
  value.carries_data = carries_data;
  value.text = std::move(why);
  return value;
}

// The first inert record or unknown global among the arguments: what a tensor would depend on.
const Value* first_inert(const Pickle& pickle, const Value& arguments) {
  for (const Pickle::Ref ref : arguments.items) {
    if (pickle.at(ref).kind == Kind::kInert) return &pickle.at(ref);
  }
  return nullptr;
}

std::optional<std::vector<int64_t>> integers(const Pickle& pickle, const Value& tuple) {
  if (tuple.kind != Kind::kTuple && tuple.kind != Kind::kList) return std::nullopt;
  if (tuple.items.size() > kMaxRank) return std::nullopt;
  std::vector<int64_t> result;
  for (const Pickle::Ref ref : tuple.items) {
    const Value& item = pickle.at(ref);
    if (item.kind != Kind::kInt || item.number < 0) return std::nullopt;
    result.push_back(item.number);
  }
  return result;
}

// A view that negates or conjugates what is stored says so in a dictionary after the usual
// arguments.
bool changes_values(const Pickle& pickle, const Value& arguments, size_t usual) {
  if (arguments.items.size() <= usual) return false;
  const Value& facts = pickle.at(arguments.items.back());
  for (size_t i = 1; facts.kind == Kind::kDict && i < facts.items.size(); i += 2) {
    if (pickle.at(facts.items[i]).number != 0) return true;
  }
  return false;
}

// (storage, offset, shape, strides, requires_grad, hooks [, dtype] [, metadata])
Value rebuild_tensor(Pickle& pickle, const Value& arguments, bool dtype_given) {
  const auto malformed = [](const char* what) {
    return inert(std::string("torch._utils._rebuild_tensor with ") + what, true);
  };
  const size_t expected = dtype_given ? 7 : 4;
  if (arguments.items.size() < expected) return malformed("too few arguments");
  if (changes_values(pickle, arguments, dtype_given ? 7 : 6)) {
    return malformed("values that are negated or conjugated when they are read");
  }
  const Value& storage = pickle.at(arguments.items[0]);
  if (storage.kind == Kind::kInert) return inert(storage.text, true);
  if (storage.kind != Kind::kStorage) return malformed("no storage");
  const Value& offset = pickle.at(arguments.items[1]);
  auto shape = integers(pickle, pickle.at(arguments.items[2]));
  auto strides = integers(pickle, pickle.at(arguments.items[3]));
  if (offset.kind != Kind::kInt || offset.number < 0 || !shape || !strides ||
      shape->size() != strides->size()) {
    if (const Value* culprit = first_inert(pickle, arguments)) return inert(culprit->text, true);
    return malformed("a malformed offset, shape or strides");
  }
  const auto index = static_cast<size_t>(storage.number);
  Pickle::Tensor tensor{index, pickle.storages[index].type, offset.number, std::move(*shape),
                        std::move(*strides)};
  if (dtype_given) {
    const Value& name = pickle.at(arguments.items[6]);
    const auto type = type_of(kTypes, name.text);
    if (name.kind == Kind::kGlobal && !type) return inert(name.text, true);
    if (!type) return malformed("a malformed dtype");
    tensor.type = *type;
  } else if (!pickle.storages[index].typed) {
    return malformed("an untyped storage and no dtype");
  }
  Value value;
  value.kind = Kind::kTensor;
  value.carries_data = true;
  value.number = static_cast<int64_t>(pickle.tensors.size());
  pickle.tensors.push_back(std::move(tensor));
  return value;
}

// The first argument, when it is a tensor: a parameter is its data.
Value rebuild_parameter(const Pickle& pickle, const Value& arguments, const std::string& name) {
  if (arguments.items.empty()) return inert(name, true);
  const Value& data = pickle.at(arguments.items[0]);
  if (data.kind == Kind::kTensor || data.kind == Kind::kInert) return data;
  return inert(name, data.carries_data);
}

Value ordered_dict(const Pickle& pickle, const Value& arguments) {
  Value dict;
  dict.kind = Kind::kDict;
  if (arguments.items.empty()) return dict;
  const Value& pairs = pickle.at(arguments.items[0]);
  if (pairs.kind == Kind::kInert) return inert("collections OrderedDict", arguments.carries_data);
  for (const Pickle::Ref ref : pairs.items) {
    const Value& pair = pickle.at(ref);
    if (pair.items.size() != 2 || pair.kind == Kind::kInert)
      return inert("collections OrderedDict", arguments.carries_data);
    dict.items.insert(dict.items.end(), pair.items.begin(), pair.items.end());
  }
  dict.carries_data = arguments.carries_data;
  return dict;
}

// (key of its own, first element, elements); false: it isn't that.
bool read_part(const Pickle& pickle, const Value& part, Pickle::Storage& storage) {
  if (!storage.typed || part.kind != Kind::kTuple || part.items.size() != 3) return false;
  const Value &first = pickle.at(part.items[1]), &count = pickle.at(part.items[2]);
  if (first.kind != Kind::kInt || count.kind != Kind::kInt || first.number < 0 ||
      first.number > storage.elements || count.number < 0 ||
      count.number > storage.elements - first.number) {
    return false;
  }
  storage.first = first.number;
  storage.count = count.number;
  return true;
}

// Of numpy 1 and 2, and tensors that XLA devices stored as such.
bool is_array(std::string_view global) {
  return global.ends_with("multiarray _reconstruct") || global.ends_with("numeric _frombuffer") ||
         global == "torch._utils _rebuild_device_tensor_from_numpy";
}

}  // namespace

std::string not_a_tensor(const Value& value) {
  if (is_array(value.text)) {
    return "is an array of numpy, expected a tensor: torch.from_numpy() makes one";
  }
  return fmt::format("depends on \"{}\", which is not a tensor of plain torch and is never called",
                     value.text);
}

Value torch_call(Pickle& pickle, const Value& function, const Value& arguments) {
  if (function.kind != Kind::kGlobal || arguments.kind != Kind::kTuple) {
    return inert(function.text, function.carries_data || arguments.carries_data);
  }
  const std::string& name = function.text;
  if (name == "torch._utils _rebuild_tensor_v2" || name == "torch._utils _rebuild_tensor") {
    return rebuild_tensor(pickle, arguments, false);
  }
  if (name == "torch._utils _rebuild_tensor_v3") return rebuild_tensor(pickle, arguments, true);
  if (name == "torch._utils _rebuild_parameter" ||
      name == "torch._utils _rebuild_parameter_with_state") {
    return rebuild_parameter(pickle, arguments, name);
  }
  if (name == "torch._tensor _rebuild_from_type_v2" && arguments.items.size() >= 3) {
    const Value &inner = pickle.at(arguments.items[0]), &inputs = pickle.at(arguments.items[2]);
    // One level only: this global inside itself would recurse as deep as the file likes.
    if (inner.text != name) return torch_call(pickle, inner, inputs);
  }
  if (name == "collections OrderedDict") return ordered_dict(pickle, arguments);
  if (name == "torch Size" && arguments.items.size() == 1) {
    const Value& sizes = pickle.at(arguments.items[0]);
    if (sizes.kind == Kind::kTuple || sizes.kind == Kind::kList) return sizes;
  }
  // Its elements come as bytes, so nothing among the arguments says that it holds data.
  return inert(name, arguments.carries_data || is_array(name));
}

Value torch_persistent(Pickle& pickle, const Value& id) {
  const auto field = [&](size_t i) -> const Value& { return pickle.at(id.items[i]); };
  if (id.kind != Kind::kTuple || id.items.size() < 5 || field(0).text != "storage" ||
      field(1).kind != Kind::kGlobal || field(2).kind != Kind::kString ||
      field(4).kind != Kind::kInt || field(4).number < 0) {
    return inert("a persistent id that is no torch storage", true);
  }
  const std::string& name = field(1).text;
  const bool untyped = name == "torch.storage UntypedStorage" || name == "torch UntypedStorage";
  const auto type = type_of(kStorages, name);
  if (!type && !untyped) return inert(name, true);
  Value value;
  value.kind = Kind::kStorage;
  value.carries_data = true;
  value.number = static_cast<int64_t>(pickle.storages.size());
  Pickle::Storage storage{field(2).text, !untyped, type.value_or(DType::kU8), field(4).number};
  if (id.items.size() > 5 && field(5).kind != Kind::kNone &&
      !read_part(pickle, field(5), storage)) {
    return inert("a persistent id with a malformed part of a storage", true);
  }
  pickle.storages.push_back(std::move(storage));
  return value;
}

}  // namespace tensormill
