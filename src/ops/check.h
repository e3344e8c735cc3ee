#pragma once

#include "base/error.h"
#include "kernels/table.h"

namespace tensormill {

// What ops/ checks are invariants of this program, not of its input: a failure is kInternal.
inline void require(bool holds, const char* op, const char* expected) {
  if (!holds) throw_error(ErrorKind::kInternal, "{}: expected {}", op, expected);
}

inline bool is_float(DType type) {
  return type == DType::kF32 || type == DType::kF16 || type == DType::kBF16;
}

inline void require_live(const Live& live, const char* op) {
  require(live.count != nullptr && live.bound >= 0, op, "a count and its bound");
}

inline void require_rows(const Rows& rows, int64_t width, const char* op) {
  require(rows.x != nullptr && is_float(rows.type) && rows.stride >= width, op,
          "rows of f32, bf16 or f16 with a stride of at least their width");
}

// Rows that a product of this format reads.
inline void require_input(const KernelTable& kernels, const Rows& rows, WeightFormat format,
                          int64_t width, const char* op) {
  if (format == WeightFormat::kInt8) return require(rows.q != nullptr, op, "quantized rows");
  require_rows(rows, width, op);
  require(rows.type == kernels.types(format).input, op, "inputs of the weight's type");
}

inline void require_norm(const Norm& norm, const char* op) {
  require(norm.kind == NormKind::kNone || norm.weight != nullptr, op, "a norm with a weight");
}

inline void require_residual(const ResidualArgs& args, const char* op) {
  require_live(args.live, op);
  require(args.width > 0 && args.residual != nullptr, op, "a residual of positive width");
  require(args.partials >= 0 && args.partials <= 8, op, "at most 8 partials");
  for (int i = 0; i < args.partials; ++i) require(args.partial[i] != nullptr, op, "every partial");
  require_norm(args.out, op);
  require_norm(args.in, op);
  if (args.y.x != nullptr) require_rows(args.y, args.width, op);
  require(args.take == nullptr || (args.y.x != nullptr && !args.keep_y), op,
          "an output for rows that are taken, and no other");
}

inline void require_heads(int32_t heads, int32_t kv_heads, int32_t dim, int32_t value_dim,
                          const char* op) {
  require(heads > 0 && kv_heads > 0 && heads % kv_heads == 0, op, "heads in groups of kv_heads");
  require(dim > 0 && dim <= kMaxHeadDim, op, "a head dim of at most kMaxHeadDim");
  require(value_dim > 0 && value_dim <= kMaxHeadDim, op, "a value_dim of at most kMaxHeadDim");
}

inline void require_kv(const KvView& kv, int32_t dim, int32_t value_dim, const char* op) {
  require(kv.k != nullptr && kv.v != nullptr && kv.table != nullptr &&
              (is_float(kv.type) || kv.type == DType::kI8),
          op, "keys and values of f32, bf16 or f16, or in 8 bits, with a block table");
  require(kv.k_stride.head >= kv_block(kv.type, dim), op, "k_stride.head of a block's keys");
  require(kv.v_stride.head >= kv_block(kv.type, value_dim), op,
          "v_stride.head of a block's values");
  require(kv.k_stride.block >= 0 && kv.v_stride.block >= 0, op, "block strides of 0 or more");
}

inline void require_routes(const Routes& routes, int32_t experts, int32_t active, const char* op) {
  require(experts > 0 && experts <= kMaxExperts && active > 0 && active <= experts, op,
          "experts of which a row takes some");
  require(routes.expert != nullptr && routes.weight != nullptr && routes.place != nullptr &&
              routes.row != nullptr && routes.begin != nullptr,
          op, "routes");
}

}  // namespace tensormill
