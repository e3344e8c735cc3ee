#include "models/stored_names.h"

#include <algorithm>
#include <array>

namespace tensormill {
namespace {

// Of the program that saved the model.
constexpr std::array kWrappers = {"module", "_orig_mod", "_fsdp_wrapped_module",
                                  "_checkpoint_wrapped_module"};
// Of a model that holds another one.
constexpr std::array kHolders = {"base_model", "model", "transformer", "bert", "language_model"};
// Of kWrappers those that also stand inside a name.
constexpr std::array kInside = {"_orig_mod.", "_fsdp_wrapped_module.",
                                "_checkpoint_wrapped_module."};

}  // namespace

CoreNames::CoreNames(std::string_view prefix) : words_(kWrappers.begin(), kWrappers.end()) {
  words_.insert(words_.end(), kHolders.begin(), kHolders.end());
  while (!prefix.empty()) {
    const size_t dot = prefix.find('.');
    words_.emplace_back(prefix.substr(0, dot));
    prefix.remove_prefix(dot == std::string_view::npos ? prefix.size() : dot + 1);
  }
}

std::string CoreNames::core(std::string_view name) const {
  for (size_t dot = name.find('.'); dot != std::string_view::npos; dot = name.find('.')) {
    const std::string_view word = name.substr(0, dot);
    if (std::find(words_.begin(), words_.end(), word) == words_.end()) break;
    name.remove_prefix(dot + 1);
  }
  std::string core(name);
  for (const std::string_view word : kInside) {
    for (size_t at = core.find(word); at != std::string::npos; at = core.find(word, at)) {
      core.erase(at, word.size());
    }
  }
  return core;
}

StoredNames::StoredNames(const TensorIndex& checkpoint, std::string_view prefix)
    : checkpoint_(checkpoint), prefix_(prefix), names_(prefix) {
  for (const NamedTensor& tensor : checkpoint.tensors()) {
    const auto [place, added] = by_core_.emplace(names_.core(tensor.name), &tensor);
    if (!added) place->second = nullptr;
  }
}

const NamedTensor* StoredNames::find(std::string_view name) const {
  if (const NamedTensor* tensor = checkpoint_.find(prefix_ + std::string(name))) return tensor;
  if (const NamedTensor* tensor = checkpoint_.find(name)) return tensor;
  const auto same = by_core_.find(names_.core(name));
  return same == by_core_.end() ? nullptr : same->second;
}

}  // namespace tensormill
