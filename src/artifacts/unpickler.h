#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tensor/dtype.h"

namespace tensormill {

// A pickle's values, made without running anything: what isn't a plain value, a container or a
// torch tensor becomes an inert record. Values refer to each other by index, so cycles and depth
// are harmless.
struct Pickle {
  using Ref = uint32_t;

  enum class Kind : uint8_t {
    kNone,
    kBool,     // number
    kInt,      // number
    kFloat,    // number: the double's bits
    kString,   // text
    kBytes,    // not kept
    kTuple,    // items
    kList,     // items
    kDict,     // items: key, value, key, value ...
    kGlobal,   // text: "module name"
    kStorage,  // number: index in `storages`
    kTensor,   // number: index in `tensors`
    kInert,    // text: the global, or why it is no tensor; items: the state BUILD set, if any
  };
  struct Value {
    Kind kind = Kind::kNone;
    bool carries_data = false;  // a storage or tensor went into it
    int64_t number = 0;
    std::string text;
    std::vector<Ref> items;
  };
  struct Storage {
    std::string key;  // the archive's entry data/<key>
    bool typed;       // false: elements are bytes, the tensor knows the type
    DType type;
    int64_t elements;
    // torch before 0.4.1 stored a storage that is part of another one as that part.
    int64_t first = 0, count = -1;  // elements of it; -1: all
  };
  struct Tensor {
    size_t storage;
    DType type;
    int64_t offset;  // in elements
    std::vector<int64_t> shape, strides;
  };

  std::vector<Value> values;
  std::vector<Storage> storages;
  std::vector<Tensor> tensors;
  Ref root = 0;

  const Value& at(Ref ref) const { return values[ref]; }
};

// Reads a pickle of protocol 2 to 5 as torch.save writes it. Bounded in values, stack and memory.
// `used` gets its size: others may follow. Errors: kArtifactInvalid naming `origin` and the byte.
Pickle unpickle(std::span<const std::byte> bytes, const std::string& origin,
                size_t* used = nullptr);

}  // namespace tensormill
