#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "artifacts/unpickler.h"
#include "artifacts/zip.h"
#include "tensor/tensor.h"

namespace tensormill {

// A file that torch.save wrote: the pickle, and the elements of the tensors in it. Both forms are
// read: the zip archive of torch 1.6 and later, and the chain of pickles before that. `bytes` and
// `origin` must outlive it. Errors: kArtifactInvalid naming `origin` and the tensor.
class TorchArchive {
 public:
  TorchArchive(std::span<const std::byte> bytes, const std::string& origin);

  // It begins as a file of torch.save does.
  static bool is_one(std::span<const std::byte> bytes);

  const Pickle& pickle() const { return pickle_; }
  const Pickle::Value& root() const { return pickle_.at(pickle_.root); }
  // A tensor's elements in row-major order: a view of `bytes`, perhaps unaligned, or, where they
  // are strided or byte-swapped there, a copy kept in owners(). All copies together are bounded by
  // the file's size.
  TensorView view(const std::string& name, const Pickle::Tensor& tensor);
  std::vector<std::shared_ptr<const void>>& owners() { return owners_; }

 private:
  [[noreturn]] void fail(const std::string& name, std::string_view what) const;
  void read_zip();
  void read_chain();
  void read_chained_storages(uint64_t at, const Pickle& keys);
  bool big_endian();
  std::span<const std::byte> storage_bytes(const std::string& name, const Pickle::Storage& storage);
  const std::byte* copy(const std::string& name, const Pickle::Tensor& tensor,
                        const std::byte* source, uint64_t elements);

  std::span<const std::byte> bytes_;
  const std::string& origin_;
  std::optional<ZipArchive> zip_;
  std::string prefix_;  // of the zip archive's entries
  Pickle pickle_;
  bool swap_ = false;
  uint64_t copied_ = 0;
  std::map<std::string, std::span<const std::byte>> storages_;
  std::vector<std::shared_ptr<const void>> owners_;
};

}  // namespace tensormill
