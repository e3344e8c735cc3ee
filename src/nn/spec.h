#pragma once

// What a layer is, as plain values: a family fills these in, and everything else (kernels, packing,
// cache, split) follows from them.

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "kernels/table.h"

namespace tensormill {

struct NormSpec {
  NormKind kind = NormKind::kNone;
  float eps = 0;
  bool shift = false;
  bool weight = true;     // false: the checkpoint has none, it is 1
  bool one_plus = false;  // the checkpoint stores weight - 1
};

enum class RopeScaling : uint8_t { kNone, kLinear, kDynamic, kPowers, kLlama3, kYarn, kLong };

// kDynamic, kPowers and kLong: see RopeLength.
struct RopeSpec {
  int32_t dim = 0;   // elements of a head that turn on one axis, even; 0: no rotary positions
  int32_t axes = 1;  // the first `dim` elements turn by axis 0, the next by axis 1
  float theta = 0;
  bool neighbours = false;  // turns pairs (2i, 2i+1) instead of (i, i + dim/2)
  RopeScaling scaling = RopeScaling::kNone;
  float factor = 1;
  float amplitude = 1;          // of cosines and sines
  bool f16 = false;             // frequencies rounded to f16, as the reference stores them
  int32_t original_length = 0;  // positions seen in training
  // llama3: factors that bound the blend. yarn: turns over original_length that do (beta_slow,
  // beta_fast); `whole`: the bounds are rounded to whole dimensions.
  float low_frequency = 0, high_frequency = 0;
  bool whole = true;
  std::vector<float> short_factors, long_factors;  // kLong: [dim / 2], divide the frequencies

  bool operator==(const RopeSpec&) const = default;
};

// ALiBi: += slope * (key - query).
struct BiasSpec {
  std::vector<float> slopes;  // [heads]; empty: no bias
  bool scaled = false;        // times the scores' scale too
  bool bf16 = false;          // rounded as Score.bias_bf16 says
};

struct MaskSpec {
  bool causal = true;
  int32_t window = 0;   // keys seen, the query's own included; 0: all
  bool prefix = false;  // a part of the prompt, named by the batch, sees itself whole
};

// Keys and values of all heads come from one short row, the latent, and that is what the cache
// holds. Heads share one KV head: its keys are the elements that turn, then the latent; its values
// are the latent. A head's query meets the latent through its part of the weight that makes keys,
// what it attended becomes its value through its part of the weight that makes values.
struct LatentSpec {
  int32_t rank = 0;        // of the latent; 0: heads have keys and values of their own
  int32_t query_rank = 0;  // queries come from a short row too; 0: they don't
  int32_t plain = 0;       // elements of a head's query that don't turn
  int32_t values = 0;      // of a head
  NormSpec norm, query_norm;
  bool bias = false;  // of the products that make short rows
};

// Which keys a query meets. kDense: all that the mask lets through. kLocal: those of its chunk of
// the sequence and of some chunks before. kHashed: tokens are sorted by a hash of their queries,
// which are the keys too, a round at a time; the same with chunks of that order, and the rounds are
// merged. The last two depend on the whole sequence: nothing of them can be cached.
enum class Core : uint8_t { kDense, kLocal, kHashed };

// Of kLocal and kHashed. Sequences longer than pad_above count as padded to a multiple of pad_to:
// nobody sees the padding, but it places the chunks. One of up to `length` tokens is one chunk.
struct ChunkSpec {
  int32_t length = 0, before = 0;
  int32_t pad_above = 0, pad_to = 0;
};

// Of kHashed: in each round a token's bucket is the direction, of so many random ones and their
// opposites, that its query points to; with several factors one such number each.
struct HashSpec {
  int32_t rounds = 0;
  std::vector<int32_t> buckets;  // factors, all even; empty: derived from the sequence's length
  int32_t positions = 0;         // bounds the derived ones
  std::optional<uint32_t> seed;  // of the directions, as PyTorch's generator gives them
};

struct AttentionSpec {
  Core core = Core::kDense;
  int32_t heads = 0, kv_heads = 0, dim = 0;
  int32_t value_dim = 0;  // of a head; 0: dim
  float scale = 0;        // of scores, before bias and mask
  float softcap = 0;      // scores become softcap * tanh(score / softcap); 0: none
  float clip = 0;         // queries, keys and values are cut to [-clip, clip]; 0: none
  NormSpec q_norm, k_norm;
  HeadNorm norm_span = HeadNorm::kHead;
  bool qkv_bias = false, out_bias = false;
  RopeSpec rope;
  int32_t log_n = 0;  // see ToCacheArgs
  BiasSpec bias;
  MaskSpec mask;
  LatentSpec latent;  // then dim and value_dim are those of the shared KV head
  ChunkSpec chunk;
  HashSpec hash;

  int32_t values() const { return value_dim > 0 ? value_dim : dim; }
  int32_t query_rows() const { return heads * dim; }
  int32_t key_rows() const { return core == Core::kHashed ? 0 : kv_heads * dim; }
  int32_t value_rows() const { return kv_heads * values(); }
  int32_t qkv_rows() const { return query_rows() + key_rows() + value_rows(); }
  int32_t attended() const { return heads * values(); }
  int32_t out_inputs() const { return latent.rank > 0 ? heads * latent.values : attended(); }
};

// Weights of a norm over the queries (or keys) of so many heads.
constexpr int32_t head_norm_width(const AttentionSpec& attention, int32_t heads) {
  return attention.norm_span == HeadNorm::kHead ? attention.dim : heads * attention.dim;
}

// Many MLPs of which each row takes some: see RouteArgs.
struct ExpertsSpec {
  int32_t count = 0;   // 0: one MLP for all rows
  int32_t active = 0;  // that a row takes
  ExpertScore score = ExpertScore::kSoftmax;
  bool bias = false;  // the choice, and it alone, adds a bias to the scores
  int32_t groups = 1, active_groups = 1, group_best = 1;
  bool normalize = false;
  float scale = 1;
};

struct MlpSpec {
  int32_t width = 0;  // of one expert, where there are many
  Activation activation = Activation::kNone;
  bool gated = false;  // activation(gate) * up
  bool bias = false;
  ExpertsSpec experts;
};

// x' = sum(carry * (keep_in ? in(x) : x) + scale * out(body(in(x)))). Norms stand in slots: `in`
// before the body, `out` after it, `sum` after the addition; each may be absent.
struct BranchSpec {
  std::variant<AttentionSpec, MlpSpec> body;
  NormSpec in, out, sum;
  bool keep_in = false;    // the residual stream goes on from in(x)
  bool shares_in = false;  // reads what the branch before read, which is with_next; `in` is none
  bool with_next = false;  // reads the same x as the next branch, and their outputs are added
  float carry = 1, scale = 1;
};

}  // namespace tensormill
