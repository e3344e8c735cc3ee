#pragma once

// The contract between ops and a device's kernels: plain structs on raw pointers, sizes and a
// stream. A null pointer means "not wanted". The caller (ops/) has checked every size; kernels
// check nothing.
//
// Order of sums, the same for every row count, chunking and thread count on one instruction set:
// - linear: an output is the sum, in ascending order, of segments of the inner dimension (kSegment,
// or
//   kShortSegment where the inner dimension is kSegment or less); each segment is one accumulator
//   that walks its inputs in ascending order from zero, bf16 in pairs. Outputs lie in the vector
//   lanes.
// - attention: keys in chunks of kAttentionChunk at absolute positions, each with its own maximum
// and
//   sum, merged in ascending order.
// - norms: a row is reduced by one thread in one fixed order.

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace tensormill {

inline constexpr int kSegment = 1024;
inline constexpr int kShortSegment = 512;
inline constexpr int kAttentionChunk = 256;
inline constexpr int kBlockTokens = 32;  // tokens of one KV cache block; divides kAttentionChunk
inline constexpr int kPanel = 64;        // outputs of one panel of a packed weight
inline constexpr int kMaxHeadDim = 512;

using Stream = struct StreamTag*;  // a CUDA stream, or the CPU's ThreadTeam

enum class NormKind : uint8_t { kNone, kLayer, kRms };
enum class Activation : uint8_t { kNone, kRelu, kGelu, kGeluTanh, kQuickGelu, kSilu, kTanh };
enum class WeightFormat : uint8_t { kF32, kF16, kBF16 };

// A count that may live in device memory; `bound` is what the host knows of it.
struct Live {
  const int32_t* count;
  int32_t bound;
};

// One activation: [rows, width], `stride` elements from row to row.
struct Rows {
  void* x;
  DType type;  // kF32, kBF16 or kF16
  int64_t stride;
};

struct Norm {
  NormKind kind;
  const float *weight, *shift;  // [width]; shift null where there is none
  float eps;
};

struct EmbedArgs {
  const int32_t* tokens;     // [rows]
  const int32_t* positions;  // [rows], only read with position_table
  const void* table;         // [vocabulary, width] of `type`
  DType type;
  const void* position_table;  // [*, width] of `type`, or null
  int32_t position_offset;     // row of position 0
  float scale;
  float* residual;  // out [rows, width]
  int32_t width;
  Live live;  // rows
};

// s = sum over partials + bias; s = out(s); r = carry * r + branch * s; y = in(r).
// With keep_y the residual becomes y. With partials == 0 only y = in(r) is done.
struct ResidualArgs {
  const float* partial[8];  // each [rows, width], added in ascending order
  int32_t partials;
  const float* bias;  // [width] or null
  Norm out, in;
  float* residual;  // in and out [rows, width]
  float carry, branch;
  bool keep_y;
  Rows y;  // out [rows, width]; x null: not wanted
  int32_t width;
  Live live;  // rows
};

// A weight [outputs, inner] packed for `linear`: panels of kPanel outputs (the last one
// zero-filled), each [inner][kPanel], or [inner/2][kPanel][2] for bf16 (an odd inner dimension
// zero-filled).
struct Packed {
  const void* data;
  WeightFormat format;
  int32_t outputs, inner;
};

// out = act(x W^T + bias + addend). Gated: the weight's outputs are 2n rows in pairs (gate_i, up_i)
// and out is [rows, n] = act(gate) * up.
struct LinearArgs {
  const Packed* weight;
  const float* bias;    // [outputs] or null
  const float* addend;  // [rows, outputs] or null
  Activation act;
  bool gated;
  Rows in, out;
  Live live;  // rows
};

// Keys and values of one layer in blocks of kBlockTokens tokens. With at = block * block_stride +
// head * head_stride, element (block, head, token, d) of v is v[at + token * dim + d], and of k
// k[at + d * kBlockTokens + token]: a query meets many keys at once, in the vector lanes.
// head_stride is at least kBlockTokens * dim.
struct KvView {
  void *k, *v;
  DType type;
  int64_t block_stride, head_stride;
  const int32_t* table;  // [sequences, table_stride]: block ids in the order of tokens
  int32_t table_stride;
};

// Angles of one step for one rope: cos_sin[row] = cos of dim/2 angles, then their sines, both times
// `scale`. The angle i of a row is position * f_i, f_i = inv_freq[i], or, where lengths is set and
// the row's length exceeds original_length (dynamic NTK: Hugging Face modeling_rope_utils.py),
// base^(-2i/dim) of base = theta * (factor * length / original_length - (factor - 1))^(dim / (dim -
// 2)).
struct RopeArgs {
  const int32_t* positions;  // [rows]
  const int32_t* lengths;    // [rows] or null
  const float* inv_freq;     // [dim / 2]
  int32_t dim;
  float scale, theta, factor;
  int32_t original_length;
  float* cos_sin;  // out [rows, dim]
  Live live;       // rows
};

// Takes the packed product qkv [rows, (heads + 2 * kv_heads) * dim] apart: optional clip, q/k norm
// per head, rope on the first rope_dim elements of each head, then q to `q` and keys and values to
// the cache.
struct ToCacheArgs {
  const float* qkv;
  int64_t qkv_stride;
  int32_t heads, kv_heads, dim;
  float clip;            // 0: none
  Norm q_norm, k_norm;   // over dim; kNone where there is none
  const float* cos_sin;  // [rows, rope_dim] or null
  int32_t rope_dim;
  bool neighbours;              // rope turns pairs (2i, 2i+1) instead of (i, i + rope_dim/2)
  const int32_t* row_sequence;  // [rows]: index into the block tables
  const int32_t* positions;     // [rows]: slot in the cache
  float* q;                     // out [rows, heads * dim]
  KvView kv;
  Live live;  // rows
};

struct Score {
  float scale, softcap;  // softcap 0: none
  const float* slopes;   // [heads] ALiBi, or null
  bool causal;
  int32_t window;  // keys seen, the query's own included; 0: all
};

// Each sequence s has query rows row_begin[s] .. row_begin[s+1]; the last of them sees keys[s]
// keys.
struct AttentionArgs {
  const float* q;  // [rows, heads * dim]
  int64_t q_stride;
  const int32_t* row_begin;  // [sequences + 1]
  const int32_t* keys;       // [sequences]
  int32_t heads, kv_heads, dim;
  KvView kv;
  Score score;
  Rows out;       // [rows, heads * dim]
  void* scratch;  // attention_scratch() bytes
  Live sequences, rows;
};

// Source of (a part of) one packed weight. Row first_row + r of the packed weight, r < rows, is row
// row_map[r] of the source (null: row r); a negative entry leaves the packed row alone, so that
// interleaved rows (gate_i, up_i) come from two sources. transposed: the source is [inner,
// outputs]. The rows up to the end of the last panel are zero-filled by whoever packs the last row.
struct PackSource {
  const void* data;
  DType type;  // kF32, kF16, kBF16
  bool transposed;
  int32_t outputs, inner;   // of the source
  const int32_t* row_map;   // [rows], or null for rows in order
  int32_t first_row, rows;  // where they go in the packed weight
};
struct PackArgs {
  PackSource source;
  void* packed;  // Packed.data being filled
  WeightFormat format;
  int32_t outputs, inner;  // of the packed weight
};

struct KernelTable {
  const char* name;  // "avx512_bf16", "portable", ...
  void (*embed)(const EmbedArgs&, Stream);
  void (*residual)(const ResidualArgs&, Stream);
  void (*linear)(const LinearArgs&, Stream);
  void (*norm_linear)(const ResidualArgs&, const LinearArgs*, int32_t n,
                      Stream);  // n products of y
  void (*rope)(const RopeArgs&, Stream);
  void (*to_cache)(const ToCacheArgs&, Stream);
  void (*attention)(const AttentionArgs&, Stream);
  void (*gather)(const float* from, const int32_t* rows, float* to, int32_t width, Live, Stream);
  void (*pack)(const PackArgs&, Stream);
  bool (*runs)(const AttentionArgs&);  // asked at load with the model's real arguments
  bool (*stores)(WeightFormat);
  size_t (*attention_scratch)(int32_t rows, int32_t heads, int32_t dim, int32_t max_keys);
};

// Bytes of a packed weight.
constexpr size_t packed_bytes(WeightFormat format, int64_t outputs, int64_t inner) {
  const int64_t panels = (outputs + kPanel - 1) / kPanel;
  const int64_t depth = format == WeightFormat::kBF16 ? (inner + 1) / 2 * 2 : inner;
  return static_cast<size_t>(panels * kPanel * depth) * (format == WeightFormat::kF32 ? 4 : 2);
}

// Instruction-set levels of the CPU, best last. "auto" is the best that this machine runs.
// Unknown or unavailable: null. The table lives as long as the program.
const KernelTable* cpu_kernels(const char* level);

}  // namespace tensormill
