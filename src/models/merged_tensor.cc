#include "models/merged_tensor.h"

#include <algorithm>
#include <cmath>

#include "artifacts/float_types.h"

namespace tensormill {
namespace {

constexpr int64_t kRowsAtOnce = 256;  // while lengths are taken

std::vector<float> floats(const NamedTensor& tensor) {
  std::vector<float> values(static_cast<size_t>(tensor.view.elements()));
  widen(tensor.view.data, tensor.view.type, values.size(), values.data());
  return values;
}

std::vector<float> transposed(const std::vector<float>& from, int64_t rows, int64_t columns) {
  std::vector<float> to(from.size());
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      to[static_cast<size_t>(c * rows + r)] = from[static_cast<size_t>(r * columns + c)];
    }
  }
  return to;
}

}  // namespace

MergedTensor::MergedTensor(const TensorEdit& edit, const TensorIndex& base, ThreadTeam& team)
    : edit_(edit), base_(base), team_(team) {
  const auto& shape = (edit.replaced ? edit.replaced : edit.source)->view.shape;
  all_rows_ = shape.empty() ? 1 : shape[0];
  for (size_t i = 1; i < shape.size(); ++i) columns_ *= shape[i];
  if (edit.a != nullptr) {
    rank_ = edit.a->view.shape[0];
    by_row_ = edit.transposed ? transposed(floats(*edit.a), rank_, all_rows_) : floats(*edit.b);
    by_column_ = edit.transposed ? transposed(floats(*edit.b), columns_, rank_) : floats(*edit.a);
  }
  if (edit.magnitude != nullptr) {
    magnitude_ = floats(*edit.magnitude);
    if (edit.transposed) lengths_of_columns();
  }
}

TensorView MergedTensor::source(int64_t first, int64_t count,
                                std::shared_ptr<const void>& owner) const {
  if (edit_.replaced != nullptr) return rows_of(edit_.replaced->view, first, count);
  TensorValues values = base_.read(*edit_.source, first, count);
  owner = values.owner;
  return values.view;
}

// scale * b * a of one stored row.
void MergedTensor::add_product(float* to, int64_t row) const {
  const auto columns = static_cast<size_t>(columns_);
  std::vector<float> sum(columns);
  for (size_t r = 0; r < static_cast<size_t>(rank_); ++r) {
    const float factor = by_row_[static_cast<size_t>(row * rank_) + r];
    const float* from = &by_column_[r * columns];
    for (size_t c = 0; c < columns; ++c) sum[c] += factor * from[c];
  }
  for (size_t c = 0; c < columns; ++c) to[c] += edit_.scale * sum[c];
}

void MergedTensor::lengths_of_columns() {
  const auto columns = static_cast<size_t>(columns_);
  std::vector<double> squares(columns);
  std::vector<float> some;
  for (int64_t first = 0; first < all_rows_; first += kRowsAtOnce) {
    const int64_t count = std::min(kRowsAtOnce, all_rows_ - first);
    some.resize(static_cast<size_t>(count) * columns);
    std::shared_ptr<const void> owner;
    const TensorView view = source(first, count, owner);
    widen(view.data, view.type, some.size(), some.data());
    for (int64_t r = 0; r < count; ++r) {
      float* row = &some[static_cast<size_t>(r) * columns];
      add_product(row, first + r);
      for (size_t c = 0; c < columns; ++c) squares[c] += double{row[c]} * double{row[c]};
    }
  }
  column_factors_.resize(columns);
  for (size_t c = 0; c < columns; ++c) {
    column_factors_[c] = magnitude_[c] / static_cast<float>(std::sqrt(squares[c]));
  }
}

// `to` holds the source's rows.
void MergedTensor::merge_rows(float* to, int64_t first, int64_t count) {
  const auto columns = static_cast<size_t>(columns_);
  team_.parallel(count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      float* row = to + static_cast<size_t>(r) * columns;
      if (rank_ > 0) add_product(row, first + r);
      if (!column_factors_.empty()) {
        for (size_t c = 0; c < columns; ++c) row[c] *= column_factors_[c];
      } else if (!magnitude_.empty()) {
        double square = 0;
        for (size_t c = 0; c < columns; ++c) square += double{row[c]} * double{row[c]};
        const float factor =
            magnitude_[static_cast<size_t>(first + r)] / static_cast<float>(std::sqrt(square));
        for (size_t c = 0; c < columns; ++c) row[c] *= factor;
      }
    }
  });
}

TensorValues MergedTensor::read(int64_t first, int64_t count) {
  const auto columns = static_cast<size_t>(columns_);
  const auto values = std::make_shared<std::vector<float>>(static_cast<size_t>(count) * columns);
  std::shared_ptr<const void> owner;
  TensorView view = source(first, count, owner);
  widen(view.data, view.type, values->size(), values->data());
  merge_rows(values->data(), first, count);
  if (edit_.added != nullptr) {
    const std::vector<float> added = floats(*edit_.added);
    for (size_t i = 0; i < values->size(); ++i) {
      (*values)[i] += edit_.scale * added[static_cast<size_t>(first) * columns + i];
    }
  }
  for (size_t i = 0; edit_.rows != nullptr && i < edit_.ids->size(); ++i) {
    const int64_t row = (*edit_.ids)[i] - first;
    if (row < 0 || row >= count) continue;
    const TensorView from = rows_of(edit_.rows->view, static_cast<int64_t>(i), 1);
    widen(from.data, from.type, columns, values->data() + static_cast<size_t>(row) * columns);
  }
  view.data = values->data();
  view.type = DType::kF32;
  return {std::move(view), values};
}

}  // namespace tensormill
