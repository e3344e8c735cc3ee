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
  require(live.count != nullptr && live.bound >= 0 && *live.count >= 0 && *live.count <= live.bound,
          op, "a count between 0 and its bound");
}

inline void require_rows(const Rows& rows, int64_t width, const char* op) {
  require(rows.x != nullptr && is_float(rows.type) && rows.stride >= width, op,
          "rows of f32, bf16 or f16 with a stride of at least their width");
}

inline void require_norm(const Norm& norm, const char* op) {
  require(norm.kind == NormKind::kNone || norm.weight != nullptr, op, "a norm with a weight");
}

}  // namespace tensormill
