#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "artifacts/tensor_index.h"

namespace tensormill {

// The one rule about prefixes: what wrappers put before a module's name ("module.", "_orig_mod.",
// "base_model.model.", the causal model's "model." or "transformer.") doesn't count. Two names are
// the same when they are the same without it.
class CoreNames {
 public:
  // `prefix`: of the family's base model; its words don't count either.
  explicit CoreNames(std::string_view prefix);

  // The name without such words before it, and without those that compilers and shards put inside.
  std::string core(std::string_view name) const;

 private:
  std::vector<std::string> words_;
};

// Finds a checkpoint's tensors by the names of a family.
class StoredNames {
 public:
  // `prefix` as CoreNames'; the index must outlive this.
  StoredNames(const TensorIndex& checkpoint, std::string_view prefix);

  // The tensor called `name` in the base model or beside it: under exactly that name with or
  // without the prefix, else the only one that is the same by the rule. Null: not there.
  const NamedTensor* find(std::string_view name) const;

  const CoreNames& names() const { return names_; }

 private:
  const TensorIndex& checkpoint_;
  std::string prefix_;
  CoreNames names_;
  std::map<std::string, const NamedTensor*, std::less<>> by_core_;  // null: several
};

}  // namespace tensormill
