#pragma once

// The contract between ops and a device's kernels: plain structs on raw pointers, sizes and a
// stream. A null pointer means "not wanted". The caller (ops/) has checked every size; kernels
// check nothing.
//
// Order of sums, the same for every row count, chunking and thread count on one instruction set:
// - linear: an output is the sum, in ascending order, of segments of the inner dimension (kSegment,
//   or kShortSegment where it is kSegment or less); each segment is one accumulator that walks its
//   inputs in ascending order from zero, bf16 in pairs. By tiles (level avx512_amx, bf16) it takes
//   32 inputs at a time: the sum of their even ones and that of their odd ones, added up, are added
//   to the accumulator. Outputs lie in the vector lanes.
// - linear in kInt8: the inner dimension in groups of kInt8Group. A group's sum of products of
//   integers is exact; an output is the sum of the groups in ascending order from zero, each step
//   sum = fma(float(group's sum), weight's scale * input's scale, sum).
// - attention: keys in chunks of kAttentionChunk at absolute positions, each with its own maximum
//   and sum, merged in ascending order.
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
inline constexpr int kInt8Group = 64;    // inner elements that share a scale in kInt8
inline constexpr int kMaxHeadDim = 576;
inline constexpr int kMaxExperts = 1024;
inline constexpr int kMaxTop = 20;     // log-probabilities that a device returns for a row
inline constexpr int kMaxBanned = 16;  // tokens that a row may forbid on a device

using Stream = struct StreamTag*;  // a CudaContext, or the CPU's ThreadTeam

enum class NormKind : uint8_t { kNone, kLayer, kRms };
enum class Activation : uint8_t { kNone, kRelu, kGelu, kGeluTanh, kQuickGelu, kSilu, kTanh };
// kInt8: weights and inputs in 8 bits by groups along the inner dimension; f32 is quantized when it
// is packed, and when a row is written for products to read.
enum class WeightFormat : uint8_t { kF32, kF16, kBF16, kInt8 };

// A count that may live in device memory; `bound` is what the host knows of it.
struct Live {
  const int32_t* count;
  int32_t bound;
};

// A group of a quantized row: q = round(x / scale), from -127 to 127, beyond the row's width 0.
// scale is the largest |x| / 127, and NaN where a value is NaN or infinite.
struct Int8Group {
  float scale;
  int32_t start;  // -128 * the sum of q: what products with weights + 128 have to be corrected by
  int8_t q[kInt8Group];
};

constexpr int64_t int8_groups(int64_t inner) {
  return (inner + kInt8Group - 1) / kInt8Group;
}

// One activation: [rows, width], `stride` elements from row to row.
struct Rows {
  void* x;
  DType type;  // kF32, kBF16 or kF16
  int64_t stride;
  // [rows, int8_groups(width)], or null: the same rows for products in kInt8. Who writes x writes
  // this too where it is set; such products read nothing else.
  Int8Group* q = nullptr;
};

struct Norm {
  NormKind kind;
  const float *weight, *shift;  // [width]; shift null where there is none
  float eps;
};

struct EmbedArgs {
  const int32_t* tokens;  // [rows]; ~s: the token at the row's place in row s of the history
  const int32_t *history, *slots;  // [*, history_stride], [rows]; null where no token is below 0
  int64_t history_stride;
  const void* table;  // [vocabulary, width] of `type`
  DType type;
  // Tables of learned positions, one for each axis: [*, width] of `type`, or null. The rows'
  // positions on that axis, [rows], are only read with the table.
  const void* position_table[2];
  const int32_t* positions[2];
  int32_t position_offset;  // row of position 0
  float scale;              // of the token's row
  float* residual;          // out [rows, width]
  int32_t width;
  Live live;  // rows
};

// s = sum over partials + bias; s = out(s); r = carry * r + branch * s; y = in(r).
// With keep_y the residual becomes y. With partials == 0 only y = in(r) is done. With `take` row i
// of y is made of row take[i] of partials and residual, and the residual stays as it is.
struct ResidualArgs {
  const float* partial[8];  // each [rows, width], added in ascending order
  int32_t partials;
  const float* bias;  // [width] or null
  Norm out, in;
  float* residual;  // in and out [rows, width]
  float carry, branch;
  bool keep_y;          // not with `take`
  const int32_t* take;  // [rows], or null
  Rows y;               // out [rows, width]; x and q null: not wanted
  int32_t width;
  Live live;  // rows
};

// A weight [outputs, inner] packed for `linear`. On CPUs panels of kPanel outputs (the last one
// zero-filled), each [inner][kPanel], or [inner/2][kPanel][2] for bf16 (an odd inner dimension
// zero-filled). In kInt8 a panel is a piece for each group: kPanel scales in bf16, rounded up, then
// round(w / scale) + 128 as [depth/4][kPanel][4], where the last group is as deep as is left of
// `inner`, in fours. On CUDA rows of packed_row() values, those beyond `inner` zero.
struct Packed {
  const void* data;
  WeightFormat format;
  int32_t outputs, inner;
};

// out = act(x W^T + bias + addend). Gated: the weight's outputs are 2n rows in pairs (gate_i, up_i)
// and out is [rows, n] = act(gate) * up. Last, out is multiplied by `scale` and capped.
struct LinearArgs {
  const Packed* weight;
  const float* bias;    // [outputs] or null
  const float* addend;  // [rows, outputs] or null; out.x where that is f32 of the same stride
  Activation act;
  bool gated;
  float scale, softcap;  // 0: none; out = softcap * tanh(scale * out / softcap)
  Rows in, out;
  // Several weights of one shape, packed_bytes apart (0 or 1: one), without bias and addend, and
  // not in kInt8. Weight c reads in.x and writes out.x c steps on, in elements.
  int32_t copies;
  int64_t in_step, out_step;
  Live live;  // rows
};

// Where the scales of a block of one head stand in kI8, in bytes: behind whole fours.
constexpr int64_t kv_scales(int32_t dim) {
  return int64_t{kBlockTokens} * ((dim + 3) / 4 * 4);
}
// Elements of a block of one head.
constexpr int64_t kv_block(DType type, int32_t dim) {
  return type == DType::kI8 ? kv_scales(dim) + kBlockTokens * int64_t{sizeof(float)}
                            : int64_t{kBlockTokens} * dim;
}

// A layer's keys or values in blocks of kBlockTokens tokens, in elements from one to the next.
struct KvStrides {
  int64_t block, head;
};

// Keys and values of one layer. With at = block * k_stride.block + head * k_stride.head, element
// (block, head, token, d) of k is k[at + token * dim + d]; where the table has keys_by_dim it is
// k[at + d * kBlockTokens + token], so that a query meets many keys at once, in the vector lanes.
// With v's strides that of v is v[at + token * value_dim + d]. A head's stride is at least
// kv_block(type, dim), or value_dim.
// In kI8 (CPUs) an element is x = scale * (byte - 128), with one scale for each token and head of
// keys, and one of values: scale is the largest |x| / 127, NaN where an x is NaN or infinite.
// Fours lie together: that of k is k[at + (d / 4 * kBlockTokens + token) * 4 + d % 4], that of v is
// v[at + (token / 4 * value_dim + d) * 4 + token % 4]. Behind them, at + kv_scales(dim), stand the
// scales, float[kBlockTokens].
struct KvView {
  void *k, *v;
  DType type;  // kF32, kF16, kBF16 or kI8
  KvStrides k_stride, v_stride;
  const int32_t* table;  // [sequences, table_stride]: block ids in the order of tokens
  int32_t table_stride;
};

// How the angles of a rope depend on a length, and which length. P is the prompt's, L = max(P, slot
// + 1), both of the row's sequence.
// kDynamic: where L > original_length the base is theta * (factor * L / original_length - (factor -
//   1))^(dim / (dim - 2)) (Hugging Face modeling_rope_utils.py).
// kPowers: where P > original_length it is theta * (2^ceil(log2(P / original_length) + 1) - 1)^(dim
//   / (dim - 2)) (Qwen's own code).
// kLong: where L > original_length the frequencies are long_inv_freq.
enum class RopeLength : uint8_t { kNone, kDynamic, kPowers, kLong };

// Angles of one step for one rope: cos_sin[row] = for each axis the cosines of dim/2 angles, then
// their sines, all times `scale`. The angle i of a row on an axis is its position there * f_i; f_i
// = inv_freq[i], or base^(-2i/dim) of the base above.
struct RopeArgs {
  const int32_t* positions[2];  // [rows], one for each axis
  int32_t axes;                 // 1 or 2
  RopeLength length;
  const int32_t *slots, *prompts;  // [rows]: place in the sequence, P; only read with a length
  const float* inv_freq;           // [dim / 2]
  const float* long_inv_freq;      // [dim / 2], kLong
  int32_t dim;                     // values that turn, of one axis
  float scale, theta, factor;
  int32_t original_length;
  float* cos_sin;  // out [rows, axes * dim]
  Live live;       // rows
};

// What a norm of queries or keys goes over. kHead: each head, one weight [dim] for all of them.
// kEachHead: each head, weights [heads, dim]. kAllHeads: all heads as one row, weights [heads *
// dim].
enum class HeadNorm : uint8_t { kHead, kEachHead, kAllHeads };

// Takes the packed product qkv [rows, (heads + kv_heads) * dim + kv_heads * value_dim] apart:
// optional clip of all, norm of queries and keys, rope on the first rope_axes * rope_dim elements
// of each head (each axis turns rope_dim of them), then queries to `q` and keys and values to the
// cache.
struct ToCacheArgs {
  Rows qkv;  // of f32, or of the type that the table's types() say
  int32_t heads, kv_heads, dim, value_dim;
  float clip;           // 0: none
  Norm q_norm, k_norm;  // kNone where there is none
  HeadNorm norm_span;
  const float* cos_sin;  // [rows, rope_axes * rope_dim] or null
  int32_t rope_dim, rope_axes;
  bool neighbours;  // rope turns pairs (2i, 2i+1) instead of (i, i + rope_dim/2)
  int32_t log_n;  // queries at slots >= log_n are multiplied by log(slot + 1) / log(log_n); 0: none
  const int32_t* row_sequence;  // [rows]: index into the block tables
  const int32_t* slots;         // [rows]: place in the sequence and its cache
  Rows q;                       // out [rows, heads * dim], of query_type()
  KvView kv;
  Live live;  // rows
};

struct Score {
  float scale, softcap;  // softcap 0: none
  // [heads] ALiBi or null: += bias_scale * slope * (key - query), places in the sequence.
  // bias_bf16: the terms of key and query are each bf16(bf16(slope) * bf16(place)), as some
  // references round.
  const float* slopes;
  float bias_scale;
  bool bias_bf16;
  bool causal;
  int32_t window;  // keys seen, the query's own included; 0: all. The prefix is seen besides.
  const int32_t* prefix;  // [sequences]: all rows see the first so many keys; or null
};

// Each sequence s has query rows row_begin[s] .. row_begin[s+1]; the last of them sees keys[s]
// keys. Where the bounds of rows and sequences are equal, every sequence has one row.
struct AttentionArgs {
  Rows q;                    // [rows, heads * dim], of query_type()
  const int32_t* row_begin;  // [sequences + 1]
  const int32_t* keys;       // [sequences]
  int32_t heads, kv_heads, dim, value_dim;
  KvView kv;
  Score score;
  Rows out;  // [rows, heads * value_dim]
  // Null, or what is done first: to_cache of these rows, into this q and kv, which are the same. q
  // may stay as it was. A device may read counts, keys, slots, tables and what the cache holds of
  // earlier steps before the operation before has ended.
  const ToCacheArgs* store;
  void* scratch;  // attention_scratch() bytes
  Live sequences, rows;
};

enum class ExpertScore : uint8_t { kSoftmax, kSigmoid };

// Which experts the rows take. A place is one row at one expert; places are in the order of
// experts, and within one in the order of rows.
struct Routes {
  int32_t* expert;  // [rows, active], ascending within a row
  float* weight;    // [rows, active]: of that expert's result
  int32_t* place;   // [rows, active]
  int32_t* row;     // [rows * active]: of each place
  int32_t* begin;   // [experts + 1]: first place of each expert
};

// Each row takes the `active` experts with the largest scores (of equal ones the first): the
// softmax over all experts, or the sigmoid of each. With groups > 1 (runs of experts of equal
// length) only experts of the active_groups groups with the largest sum of their group_best best
// scores are taken. A weight is the score, divided by the sum of the row's weights where
// `normalize` is set, times `scale`.
struct RouteArgs {
  const float* logits;  // [rows, experts]
  const float* bias;    // [experts], added to the scores for the choice alone, or null
  ExpertScore score;
  int32_t experts, active;
  int32_t groups, active_groups, group_best;
  bool normalize;
  float scale;
  Routes routes;  // out
  Live live;      // rows
};

// out[row] = addend[row], then + weight * expert(in[row]) for the row's experts in ascending order.
// An expert is two products: act(first), gated or not, then second; in both every row keeps the
// order of sums of `linear`. Expert 0's weights; those of the others follow, packed_bytes apart.
struct ExpertsArgs {
  Packed first, second;
  Activation act;
  bool gated;
  int32_t experts, active;
  Routes routes;
  Rows in;              // [rows, width]
  const float* addend;  // [rows, width] or null
  float* out;           // [rows, width]
  // Scratch, a row for each place: [width] and [inner] of the input's type, [width]. In kInt8
  // `taken` is quantized alone, and `inner` in both forms.
  Rows taken, inner;
  float* value;
  Live live;  // rows
};

// What a request asks of the choice of its next token: see sampling/params.h. A row of a sequence's
// tokens stands in `history`; the token chosen is written to its end.
struct SampleRow {
  int32_t slot;             // row of the history
  int32_t length, prompt;   // tokens in it so far, and how many of them are the request's own
  int32_t sample;           // 0: the most likely token
  int32_t top_k;            // 0: off
  int32_t no_repeat_ngram;  // 0: off
  float temperature, top_p, typical_p, min_p;
  float repetition_penalty, presence_penalty, frequency_penalty;
  uint32_t seed[2];  // low and high half
  int32_t top;       // log-probabilities wanted besides the token's own, at most kMaxTop
  int32_t banned;    // how many of
  int32_t banned_ids[kMaxBanned];
};

// A chosen token. status: 0, or 1 where a logit is NaN or +infinity, or 2 where no token is left.
struct SampleResult {
  int32_t token, status;
  float log_prob;  // of the distribution that the token was drawn from
  int32_t top;     // entries of the next two, best first
  int32_t top_ids[kMaxTop];
  float top_log_probs[kMaxTop];
};

// Chooses a token for each row of logits as sampling/sampler.h says. The draw belongs to (seed,
// length - prompt) alone (Philox4x32-10, as sampling/philox.h).
struct SampleArgs {
  const float* logits;  // [rows, vocabulary]
  int32_t vocabulary;
  const SampleRow* rows;   // [rows]
  int32_t* history;        // [slots, history_stride]
  int64_t history_stride;  // tokens of the longest sequence
  SampleResult* results;   // out [rows]
  void* scratch;           // sample_scratch() bytes
  Live live;               // rows
};

// The largest of a row of logits.
struct RowPeak {
  int32_t index;  // the first one; -1: no finite logit
  float value;
  bool finite;  // false: a NaN or +infinity is among them (-infinity means probability 0)
};

// Values of at least some bound, and the sum of what they weigh.
struct LogitMass {
  double mass;
  int64_t count;
};

// Passes over `n` logits of one row in the host's memory, on the calling thread. Sums are added in
// an order of their own for each instruction set; what depends on one is written beside it.
struct LogitKernels {
  RowPeak (*peak)(const float* x, int64_t n);
  // Sum of e^(x - peak), for a peak not below any x.
  double (*sum_exp)(const float* x, int64_t n, float peak);
  // values = (x - peak) / temperature; weights = e^values, 0 where that is below kLeastLogit; sums:
  // of each kLogitBlock weights. x may be `values`.
  void (*weigh)(const float* x, int64_t n, float peak, float temperature, float* values,
                float* weights, double* sums);
  // Of the weights whose values are at least `least`.
  LogitMass (*mass)(const float* values, const float* weights, int64_t n, float least);
  // Cuts the row into disjoint parts, each about `run` logits, and writes the largest of each;
  // those of parts without any are -infinity. Returns how many: at most n / run + kLogitParts.
  int64_t (*maxima)(const float* x, int64_t n, int64_t run, float* largest);
  // places[i], ascending: of the logits of at least `least`. Returns how many.
  int64_t (*find)(const float* x, int64_t n, float least, int32_t* places);
};
inline constexpr int kLogitBlock = 1024, kLogitParts = 64;
inline constexpr float kLeastLogit = -87;  // e to it is nearly the least normal number

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

// The types of activations in a weight format: of a product's input, of queries, and of the packed
// product of queries, keys and values where one product makes it. Other activations are f32.
struct ActivationTypes {
  DType input, query, qkv;
};

struct KernelTable {
  const char* name;  // "avx512_bf16", "portable", "cuda", ...
  bool keys_by_dim;  // see KvView
  void (*embed)(const EmbedArgs&, Stream);
  void (*residual)(const ResidualArgs&, Stream);
  void (*linear)(const LinearArgs&, Stream);
  void (*norm_linear)(const ResidualArgs&, const LinearArgs*, int32_t n,
                      Stream);  // n products of y
  void (*rope)(const RopeArgs&, Stream);
  void (*to_cache)(const ToCacheArgs&, Stream);
  void (*attention)(const AttentionArgs&, Stream);
  void (*route)(const RouteArgs&, Stream);
  void (*experts)(const ExpertsArgs&, Stream);
  void (*sample)(const SampleArgs&, Stream);  // null: the host samples
  const LogitKernels* (*logits)();        // what the host samples with; null: not of this device
  void (*pack)(const PackArgs&, Stream);  // reads the host's memory, writes the device's
  // Null, or: while on, products try their ways to run and keep the fastest; off: what was found is
  // saved for later runs of the program.
  void (*measure)(bool on, Stream);
  bool (*runs)(const AttentionArgs&);  // asked at load with the model's real arguments
  bool (*stores)(WeightFormat);
  ActivationTypes (*types)(WeightFormat);
  size_t (*packed_bytes)(WeightFormat, int64_t outputs, int64_t inner);
  size_t (*attention_scratch)(int32_t rows, int32_t heads, int32_t value_dim, int32_t max_keys);
  size_t (*sample_scratch)(int32_t rows, int32_t vocabulary);
};

// Bytes of a group's piece of a panel in kInt8.
inline constexpr int kInt8Scales = kPanel * 2;
inline constexpr int kInt8Piece = kInt8Scales + kPanel * kInt8Group;

// Bytes of a weight packed for CPUs.
constexpr size_t panel_bytes(WeightFormat format, int64_t outputs, int64_t inner) {
  const int64_t panels = (outputs + kPanel - 1) / kPanel;
  if (format == WeightFormat::kInt8) {
    return static_cast<size_t>(panels *
                               (int8_groups(inner) * kInt8Scales + (inner + 3) / 4 * 4 * kPanel));
  }
  const int64_t depth = format == WeightFormat::kBF16 ? (inner + 1) / 2 * 2 : inner;
  return static_cast<size_t>(panels * kPanel * depth) * (format == WeightFormat::kF32 ? 4 : 2);
}

// Values of a row of a weight packed for CUDA: whole pieces of 16 bytes.
constexpr int64_t packed_row(WeightFormat format, int64_t inner) {
  const int64_t piece = format == WeightFormat::kF32 ? 4 : 8;
  return (inner + piece - 1) / piece * piece;
}

// Instruction-set levels of the CPU, best last. "auto" is the best that this machine runs.
// Unknown or unavailable: null. The table lives as long as the program.
const KernelTable* cpu_kernels(const char* level);

}  // namespace tensormill
