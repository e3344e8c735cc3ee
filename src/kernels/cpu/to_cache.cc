// Takes a packed query, key and value product apart, one head at a time in a buffer on the stack.

#include "kernels/cpu/int8.h"
#include "kernels/cpu/level.h"
#include "kernels/cpu/norm.h"
#include "kernels/cpu/simd.h"

namespace tensormill {
namespace {

// n values of the product from `from`, clipped, then zeros.
[[gnu::always_inline]] inline F load_clipped(const ToCacheArgs& args, const float* from, int n) {
  const F x = load_some(from, n);
  return args.clip > 0 ? min(max(x, set1(-args.clip)), set1(args.clip)) : x;
}

// A row's queries, keys or values: `heads` heads of `dim` elements side by side.
struct Part {
  const float* from;
  int heads, dim;
  Norm norm;
  HeadNorm span;
  Moments moment;  // of the whole part, kAllHeads
};

Part make_part(const ToCacheArgs& args, const float* from, int heads, int dim, const Norm& norm) {
  Part part{from, heads, dim, norm, args.norm_span, {}};
  if (norm.kind != NormKind::kNone && part.span == HeadNorm::kAllHeads) {
    part.moment =
        moments(norm, heads * dim, [&](int i, int n) { return load_clipped(args, from + i, n); });
  }
  return part;
}

// Reads one head, clips and norms it.
void read_head(const ToCacheArgs& args, const Part& part, int index, float* head) {
  const int64_t at = static_cast<int64_t>(index) * part.dim;
  for_vectors(part.dim,
              [&](int i, int n) { store(head + i, load_clipped(args, part.from + at + i, n)); });
  if (part.norm.kind == NormKind::kNone) return;
  const auto get = [&](int i, int n) { return load_some(head + i, n); };
  const Moments moment =
      part.span == HeadNorm::kAllHeads ? part.moment : moments(part.norm, part.dim, get);
  Norm norm = part.norm;
  if (part.span != HeadNorm::kHead) {
    norm.weight += at;
    if (norm.shift != nullptr) norm.shift += at;
  }
  for_vectors(part.dim, [&](int i, int n) {
    store_some(head + i, normed(norm, moment, get(i, n), i, n), n);
  });
}

// Turns 2 * half elements by the angles of one axis.
void turn_axis(bool neighbours, int half, const float* cosine, const float* sine, float* head) {
  if (neighbours) {
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

// Turns the first rope_axes * rope_dim elements by the row's angles.
void turn(const ToCacheArgs& args, int64_t row, float* head) {
  if (args.cos_sin == nullptr) return;
  const int half = args.rope_dim / 2;
  const float* cosine = args.cos_sin + row * args.rope_axes * args.rope_dim;
  for (int axis = 0; axis < args.rope_axes; ++axis) {
    turn_axis(args.neighbours, half, cosine, cosine + half, head);
    cosine += args.rope_dim;
    head += args.rope_dim;
  }
}

// What the queries of a slot are multiplied by.
float query_scale(const ToCacheArgs& args, int32_t slot) {
  if (args.log_n == 0 || slot < args.log_n) return 1;
  const double length = slot + 1.0, base = args.log_n;
  return static_cast<float>(__builtin_log(length) / __builtin_log(base));
}

// A head's keys or values of one token, to their block.
template <class Cache>
void put_key(const float* head, int dim, int token, Cache* block) {
  Cache* to = block + token;
  for (int i = 0; i < dim; i += kLanes) {
    Cache some[kLanes];
    store(some, load(head + i));
    const int n = dim - i < kLanes ? dim - i : kLanes;
    for (int j = 0; j < n; ++j) to[(i + j) * kBlockTokens] = some[j];
  }
}

template <class Cache>
void put_value(const float* head, int dim, int token, Cache* block) {
  Cache* to = block + token * dim;
  for_vectors(dim, [&](int i, int n) { store_some(to + i, load_some(head + i, n), n); });
}

// The head in 8 bits, zeros behind it up to whole vectors; its scale goes where the block has it.
void to_bytes(const float* head, int dim, int token, uint8_t* block, int8_t* bytes) {
  F top = zero(), invalid = zero();
  for_vectors(dim, [&](int i, int n) {
    const F x = load_some(head + i, n);
    top = max(absolute(x), top);
    invalid = fma(x, zero(), invalid);
  });
  const float largest = reduce_max(top), nan = reduce_add(invalid);
  const bool any = largest >= kLeastMagnitude && nan == 0;
  const F inverse = set1(any ? 127.0f / largest : 0.0f);
  for_vectors(dim, [&](int i, int n) {
    store_int8(bytes + i, round_to_integer(load_some(head + i, n) * inverse));
  });
  reinterpret_cast<float*>(block + kv_scales(dim))[token] = (any ? largest / 127.0f : 0.0f) + nan;
}

void put_key(const float* head, int dim, int token, uint8_t* block) {
  int8_t bytes[kMaxHeadDim + kLanes];
  to_bytes(head, dim, token, block, bytes);
  for (int i = 0; i < dim; i += 4) {
    uint32_t four;
    __builtin_memcpy(&four, bytes + i, sizeof four);
    four ^= 0x80808080;
    __builtin_memcpy(block + i * kBlockTokens + token * 4, &four, sizeof four);
  }
}

void put_value(const float* head, int dim, int token, uint8_t* block) {
  int8_t bytes[kMaxHeadDim + kLanes];
  to_bytes(head, dim, token, block, bytes);
  uint8_t* to = block + token / 4 * (dim * 4) + token % 4;
  for (int i = 0; i < dim; ++i) to[i * 4] = static_cast<uint8_t>(bytes[i] + 128);
}

template <class Cache>
void take_apart(const ToCacheArgs& args, int64_t row) {
  alignas(64) float head[kMaxHeadDim + kLanes];
  const float* from = static_cast<const float*>(args.qkv.x) + row * args.qkv.stride;
  const Part queries = make_part(args, from, args.heads, args.dim, args.q_norm);
  from += static_cast<int64_t>(args.heads) * args.dim;
  const Part keys = make_part(args, from, args.kv_heads, args.dim, args.k_norm);
  from += static_cast<int64_t>(args.kv_heads) * args.dim;
  const Part values = make_part(args, from, args.kv_heads, args.value_dim, Norm{});

  const int32_t slot = args.slots[row];
  const F scale = set1(query_scale(args, slot));
  float* q = static_cast<float*>(args.q.x) + row * args.q.stride;
  for (int h = 0; h < args.heads; ++h, q += args.dim) {
    read_head(args, queries, h, head);
    turn(args, row, head);
    for_vectors(args.dim,
                [&](int i, int n) { store_some(q + i, load_some(head + i, n) * scale, n); });
  }
  const KvView& kv = args.kv;
  const int64_t table = static_cast<int64_t>(args.row_sequence[row]) * kv.table_stride;
  const int64_t block = kv.table[table + slot / kBlockTokens];
  const int token = slot % kBlockTokens;
  Cache* k = static_cast<Cache*>(kv.k) + block * kv.k_stride.block;
  Cache* v = static_cast<Cache*>(kv.v) + block * kv.v_stride.block;
  for (int h = 0; h < args.kv_heads; ++h, k += kv.k_stride.head, v += kv.v_stride.head) {
    read_head(args, keys, h, head);
    turn(args, row, head);
    put_key(head, args.dim, token, k);
    read_head(args, values, h, head);
    put_value(head, args.value_dim, token, v);
  }
}

}  // namespace

void LEVEL(to_cache)(const ToCacheArgs& args, int32_t row_begin, int32_t row_end) {
  const auto run = [&](auto* type) {
    for (int64_t row = row_begin; row < row_end; ++row) {
      take_apart<Pointee<decltype(type)>>(args, row);
    }
  };
  if (args.kv.type == DType::kI8) return run(static_cast<uint8_t*>(nullptr));
  with_type(args.kv.type, run);
}

}  // namespace tensormill
