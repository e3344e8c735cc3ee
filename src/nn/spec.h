#pragma once

// What a layer is, as plain values: a family fills these in, and everything else (kernels, packing,
// cache, split) follows from them.

#include <cstdint>
#include <variant>

#include "kernels/table.h"

namespace tensormill {

struct NormSpec {
  NormKind kind = NormKind::kNone;
  float eps = 0;
  bool shift = false;
};

enum class RopeScaling : uint8_t { kNone, kLinear, kDynamic, kLlama3 };

struct RopeSpec {
  int32_t dim = 0;  // leading elements of a head that turn, even; 0: no rotary positions
  float theta = 0;
  bool neighbours = false;  // turns pairs (2i, 2i+1) instead of (i, i + dim/2)
  RopeScaling scaling = RopeScaling::kNone;
  float factor = 1;
  int32_t original_length = 0;                  // positions seen in training: dynamic and llama3
  float low_frequency = 0, high_frequency = 0;  // llama3: factors that bound the blend

  bool operator==(const RopeSpec&) const = default;
};

struct MaskSpec {
  bool causal = true;
  int32_t window = 0;  // keys seen, the query's own included; 0: all
};

struct AttentionSpec {
  int32_t heads = 0, kv_heads = 0, dim = 0;
  float scale = 0;  // of scores, before the mask
  bool qkv_bias = false, out_bias = false;
  RopeSpec rope;
  MaskSpec mask;

  int32_t query_rows() const { return heads * dim; }
  int32_t kv_rows() const { return kv_heads * dim; }
};

struct MlpSpec {
  int32_t width = 0;
  Activation activation = Activation::kNone;
  bool gated = false;  // activation(gate) * up
  bool bias = false;
};

// x' = carry * x + scale * out(body(in(x))). Norms stand in slots: `in` before the body, `out`
// after it, either may be absent.
struct BranchSpec {
  std::variant<AttentionSpec, MlpSpec> body;
  NormSpec in, out;
  bool with_next = false;  // reads the same x as the next branch, and their outputs are added
  float carry = 1, scale = 1;
};

}  // namespace tensormill
