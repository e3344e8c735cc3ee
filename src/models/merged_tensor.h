#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "artifacts/tensor_index.h"
#include "base/thread_team.h"

namespace tensormill {

// How one tensor of a merged checkpoint comes about. Null: none.
struct TensorEdit {
  const NamedTensor* source = nullptr;     // of the base
  const NamedTensor* replaced = nullptr;   // by this one of the adapter
  const NamedTensor* a = nullptr;          // [rank, inputs]: scale * b * a is added
  const NamedTensor* b = nullptr;          // [outputs, rank]
  const NamedTensor* magnitude = nullptr;  // [outputs]: then each output gets this length
  const NamedTensor* added = nullptr;      // scale * this is added
  const NamedTensor* rows = nullptr;       // [ids, columns]: replace these rows at last
  const std::vector<int64_t>* ids = nullptr;
  bool transposed = false;  // stored [inputs, outputs]
  float scale = 1;

  bool computes() const { return a != nullptr || added != nullptr || rows != nullptr; }
};

// The factors of one edit in f32, made once and used for all rows of its tensor.
class MergedTensor {
 public:
  // All must outlive this.
  MergedTensor(const TensorEdit& edit, const TensorIndex& base, ThreadTeam& team);

  // [count rows] from `first` on, in f32.
  TensorValues read(int64_t first, int64_t count);

 private:
  TensorView source(int64_t first, int64_t count, std::shared_ptr<const void>& owner) const;
  void add_product(float* to, int64_t row) const;
  void lengths_of_columns();
  void merge_rows(float* to, int64_t first, int64_t count);

  const TensorEdit& edit_;
  const TensorIndex& base_;
  ThreadTeam& team_;
  int64_t all_rows_ = 0, columns_ = 1, rank_ = 0;
  std::vector<float> by_row_;     // [rows, rank]
  std::vector<float> by_column_;  // [rank, columns]
  std::vector<float> magnitude_;
  std::vector<float> column_factors_;  // of a transposed tensor with magnitudes
};

}  // namespace tensormill
