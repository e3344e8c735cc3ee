// Takes a packed query, key and value product apart, one head at a time in a buffer on the stack.

#include "kernels/cpu/level.h"
#include "kernels/cpu/norm.h"
#include "kernels/cpu/simd.h"

namespace tensormill {
namespace {

// Reads one head, clips and norms it.
void read_head(const ToCacheArgs& args, const Norm& norm, const float* from, float* head) {
  const F low = set1(-args.clip), high = set1(args.clip);
  for_vectors(args.dim, [&](int i, int n) {
    const F x = load_some(from + i, n);
    store(head + i, args.clip > 0 ? min(max(x, low), high) : x);
  });
  if (norm.kind == NormKind::kNone) return;
  const auto get = [&](int i, int n) { return load_some(head + i, n); };
  const Moments moment = moments(norm, args.dim, get);
  for_vectors(args.dim, [&](int i, int n) {
    store_some(head + i, normed(norm, moment, get(i, n), i, n), n);
  });
}

// Turns the first rope_dim elements by the row's angles.
void turn(const ToCacheArgs& args, int64_t row, float* head) {
  if (args.cos_sin == nullptr) return;
  const int half = args.rope_dim / 2;
  const float* cosine = args.cos_sin + row * args.rope_dim;
  const float* sine = cosine + half;
  if (args.neighbours) {
    for (int i = 0; i < half; ++i) {
      const float x = head[2 * i], y = head[2 * i + 1];
      head[2 * i] = x * cosine[i] - y * sine[i];
      head[2 * i + 1] = y * cosine[i] + x * sine[i];
    }
    return;
  }
  for_vectors(half, [&](int i, int n) {
    const F x = load_some(head + i, n), y = load_some(head + half + i, n);
    const F c = load_some(cosine + i, n), s = load_some(sine + i, n);
    store_some(head + i, x * c - y * s, n);
    store_some(head + half + i, y * c + x * s, n);
  });
}

template <class Cache>
void store_key(const float* head, int dim, Cache* to) {
  for (int i = 0; i < dim; i += kLanes) {
    Cache some[kLanes];
    store(some, load(head + i));
    const int n = dim - i < kLanes ? dim - i : kLanes;
    for (int j = 0; j < n; ++j) to[(i + j) * kBlockTokens] = some[j];
  }
}

template <class Cache>
void take_apart(const ToCacheArgs& args, int64_t row) {
  alignas(64) float head[kMaxHeadDim + kLanes];
  const int dim = args.dim;
  const float* from = args.qkv + row * args.qkv_stride;
  float* q = args.q + row * args.heads * dim;
  for (int h = 0; h < args.heads; ++h, from += dim, q += dim) {
    read_head(args, args.q_norm, from, head);
    turn(args, row, head);
    for_vectors(dim, [&](int i, int n) { store_some(q + i, load_some(head + i, n), n); });
  }
  const int32_t slot = args.positions[row];
  const KvView& kv = args.kv;
  const int64_t table = static_cast<int64_t>(args.row_sequence[row]) * kv.table_stride;
  const int64_t block = kv.table[table + slot / kBlockTokens] * kv.block_stride;
  const int token = slot % kBlockTokens;
  for (int h = 0; h < args.kv_heads; ++h, from += dim) {
    read_head(args, args.k_norm, from, head);
    turn(args, row, head);
    store_key(head, dim, static_cast<Cache*>(kv.k) + block + h * kv.head_stride + token);
  }
  const Norm none{};
  for (int h = 0; h < args.kv_heads; ++h, from += dim) {
    read_head(args, none, from, head);
    Cache* v = static_cast<Cache*>(kv.v) + block + h * kv.head_stride + token * dim;
    for_vectors(dim, [&](int i, int n) { store_some(v + i, load_some(head + i, n), n); });
  }
}

}  // namespace

void LEVEL(to_cache)(const ToCacheArgs& args, int32_t row_begin, int32_t row_end) {
  with_type(args.kv.type, [&](auto* type) {
    for (int64_t row = row_begin; row < row_end; ++row) {
      take_apart<Pointee<decltype(type)>>(args, row);
    }
  });
}

}  // namespace tensormill
