#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "artifacts/tensor_file.h"
#include "artifacts/torch_archive.h"

namespace tensormill {

struct NotPlain {
  std::string what;  // for messages: "a list", the global of an object
};
using PlainValue = std::variant<std::nullptr_t, bool, int64_t, double, std::string, NotPlain>;
using PlainValues = std::map<std::string, PlainValue, std::less<>>;

std::string to_text(const PlainValue& value);  // for messages

// A file of torch.save as trainers write it: tensors in nested dictionaries, settings and the
// state of the training side by side. What isn't asked for is never read.
class TorchTree {
 public:
  // Errors: kNotFound; kArtifactInvalid, also when the top value is no dictionary.
  static TorchTree open(const std::filesystem::path& file);
  // The same for bytes that `owner` keeps.
  TorchTree(std::span<const std::byte> bytes, std::string origin,
            std::shared_ptr<const void> owner);

  bool has(std::string_view key) const { return find(key) != nullptr; }
  std::vector<std::string> keys() const;

  // One plain value of the top dictionary; `missing` when it isn't there.
  PlainValue plain(std::string_view key, PlainValue missing) const;
  // What a dictionary or a plain object (its attributes) holds under `key`; else nothing.
  PlainValues attributes(std::string_view key) const;
  // All tensors under `key`, the keys on the way joined by dots. They may be unaligned.
  TensorFile tensors(std::string_view key);

 private:
  const Pickle::Value* find(std::string_view key) const;
  PlainValue to_plain(const Pickle::Value& value) const;
  void collect(const Pickle::Value& dict, const std::string& prefix, int depth, TensorFile& file);

  std::unique_ptr<const std::string> origin_;
  std::shared_ptr<const void> owner_;
  std::shared_ptr<const MappedFile> mapped_;
  std::unique_ptr<TorchArchive> archive_;
  size_t visited_ = 0;
};

}  // namespace tensormill
