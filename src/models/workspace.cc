#include "models/workspace.h"

#include <functional>

namespace tensormill {

Workspace::Workspace(const Sizes& sizes) : limits_(sizes.limits) {
  constexpr size_t kAlign = 64;
  size_t bytes = 0;
  std::vector<std::function<void(std::byte*)>> places;
  const auto place = [&](auto*& pointer, int64_t count, DType type) {
    using Pointer = std::remove_reference_t<decltype(pointer)>;
    places.push_back([&pointer, at = bytes](std::byte* base) {
      pointer = static_cast<Pointer>(static_cast<void*>(base + at));
    });
    const size_t size = static_cast<size_t>(count) * dtype_size(type);
    bytes += (size + kAlign - 1) / kAlign * kAlign;
  };
  const int64_t rows = limits_.rows, logit_rows = limits_.logit_rows;
  place(residual, rows * sizes.width, DType::kF32);
  place(normed, rows * sizes.width, sizes.input);
  place(qkv, rows * sizes.qkv, DType::kF32);
  place(queries, rows * sizes.queries, DType::kF32);
  place(attended, rows * sizes.queries, sizes.input);
  place(mlp, rows * sizes.mlp, sizes.input);
  place(partial[0], rows * sizes.width, DType::kF32);
  place(partial[1], rows * sizes.width, DType::kF32);
  place(hidden, rows * sizes.width, DType::kF32);
  place(logit_residual, logit_rows * sizes.width, DType::kF32);
  place(logit_normed, logit_rows * sizes.width, sizes.input);
  place(logits, logit_rows * sizes.vocabulary, DType::kF32);
  cos_sin.resize(sizes.ropes.size());
  for (size_t i = 0; i < cos_sin.size(); ++i) place(cos_sin[i], rows * sizes.ropes[i], DType::kF32);
  place(attention_scratch, static_cast<int64_t>(sizes.attention_scratch), DType::kU8);
  memory_ = Buffer(bytes, "activations");
  for (const auto& set : places) set(memory_.as<std::byte>());
}

}  // namespace tensormill
