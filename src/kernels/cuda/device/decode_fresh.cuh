#pragma once

// How a block of the kernel for single queries does what to_cache does for its heads. The new key
// and value come from the product in every block that needs them; one block of a kv head writes
// them to the cache, and none waits for it.

#include "kernels/cuda/device/decode_work.cuh"
#include "kernels/cuda/device/take_head.cuh"

namespace tensormill::decode {

// Heads to take apart, each by a warp: the block's queries, then the new key, then the new value.
struct FreshHead {
  int which;  // 0: a query, 1: the key, 2: the value
  int dim;
  int64_t from;  // its place in a row of the product
  int64_t at;    // of its weights among those of its norm

  __device__ __forceinline__ FreshHead(const DecodeArgs& decode, const Work& work, int i) {
    const ToCacheArgs& store = decode.store;
    which = max(i - work.heads + 1, 0);
    dim = which == 2 ? store.value_dim : store.dim;
    const int head = which == 0 ? work.head + i : work.kv_head;
    from = int64_t{head} * dim;
    at = store.norm_span == HeadNorm::kHead ? 0 : from;
    if (which > 0) from += int64_t{store.heads} * store.dim;
    if (which > 1) from += int64_t{store.kv_heads} * store.dim;
  }
  __device__ __forceinline__ Norm norm(const ToCacheArgs& store) const {
    return which == 0 ? store.q_norm : which == 1 ? store.k_norm : Norm{};
  }
};

// Shared memory while heads are taken apart: for each its values and its norm's weights, then the
// row's angles.
template <class S>
struct FreshRoom {
  static constexpr int kHead = S::dim > S::value_dim ? S::dim : S::value_dim;  // floats

  float* memory;
  int heads;

  // turning: of them so many have angles.
  static int floats(int queries, int turning) { return 2 * kHead * (queries + 2) + turning; }

  __device__ __forceinline__ float* head(int i) const { return memory + 2 * kHead * i; }
  __device__ __forceinline__ float* weight(int i) const { return head(i) + kHead; }
  __device__ __forceinline__ float* angles() const { return head(heads); }
  // Where the product has halves they wait here; a head takes half its room.
  template <class T>
  __device__ __forceinline__ T* halves(int i) const {
    return reinterpret_cast<T*>(head(i)) + kHead;
  }
};

// Calls f(i) for this warp's heads.
template <class F>
__device__ __forceinline__ void each_head(const Work& work, F&& f) {
  for (int i = static_cast<int>(threadIdx.x) / 32; i < work.heads + 2; i += blockDim.x / 32) f(i);
}

// Asks for the weights of the norms.
template <class S>
__device__ __forceinline__ void fetch_weights(const DecodeArgs& decode, const Work& work,
                                              const FreshRoom<S>& room) {
  const int first = threadIdx.x % 32 * 4;
  each_head(work, [&](int i) {
    const FreshHead head(decode, work, i);
    const Norm norm = head.norm(decode.store);
    if (norm.kind == NormKind::kNone) return;
    fetch<4>(room.weight(i), norm.weight + head.at, head.dim, first, 128);
  });
}

// Asks for the heads and the angles.
template <class S, class T = typename S::Type>
__device__ __forceinline__ void fetch_heads(const DecodeArgs& decode, const Work& work,
                                            const FreshRoom<S>& room) {
  const ToCacheArgs& store = decode.store;
  const int64_t row = work.sequence;  // each sequence has one
  const int first = threadIdx.x % 32 * 4;
  each_head(work, [&](int i) {
    const FreshHead head(decode, work, i);
    const int64_t from = row * store.qkv.stride + head.from;
    if (store.qkv.type == DType::kF32) {
      fetch<4>(room.head(i), static_cast<const float*>(store.qkv.x) + from, head.dim, first, 128);
    } else {
      fetch<4>(room.template halves<T>(i), static_cast<const T*>(store.qkv.x) + from, head.dim,
               first, 128);
    }
  });
  if (store.cos_sin == nullptr) return;
  const int turning = store.rope_axes * store.rope_dim;
  fetch<4>(room.angles(), store.cos_sin + row * turning, turning, threadIdx.x * 4, blockDim.x * 4);
}

// A head's halves as floats: all are read before one is written.
template <class S, class T = typename S::Type>
__device__ __forceinline__ void widen(const FreshRoom<S>& room, int i, int dim) {
  constexpr int kPieces = (FreshRoom<S>::kHead + 127) / 128;
  const int first = threadIdx.x % 32 * 4;
  Piece<4> x[kPieces];
#pragma unroll
  for (int p = 0; p < kPieces; ++p) {
    const int d = first + 128 * p;
    if (d < dim) x[p] = load_piece_as<4>(room.template halves<T>(i), kTypeOf<T>, d);
  }
  __syncwarp();
#pragma unroll
  for (int p = 0; p < kPieces; ++p) {
    if (first + 128 * p < dim) store_piece(room.head(i) + first + 128 * p, x[p]);
  }
}

// The new key and value, exactly as the cache has them: [dim], [value_dim] in shared memory.
template <class S>
struct Fresh {
  uint4* key;

  __device__ __forceinline__ uint4* value() const { return key + S::dim / 8; }
  static constexpr int kPieces = (S::dim + S::value_dim) / 8;
};

// Zeros where no head comes.
template <class S>
__device__ __forceinline__ void clear_rest(const AttentionArgs& args, const Work& work,
                                           uint4* queries, const Fresh<S>& fresh) {
  for (int i = threadIdx.x; i < S::key_pieces * 32; i += blockDim.x) {
    const int head = i % 32 / 4, d = i / 32 * 32 + i % 4 * 8;
    if (head >= work.heads || d >= S::key_size(args)) queries[i] = {0, 0, 0, 0};
  }
  for (int i = threadIdx.x; i < Fresh<S>::kPieces; i += blockDim.x) {
    const int d = (i < S::dim / 8 ? i : i - S::dim / 8) * 8;
    if (d >= (i < S::dim / 8 ? S::key_size(args) : S::value_size(args))) fresh.key[i] = {};
  }
}

// Takes apart what fetch_heads() brought: queries in the order of load_queries(), the new key and
// value to `fresh` and, where this block is the one, to the cache. id: of their block there.
template <class S, class T = typename S::Type>
__device__ __forceinline__ void take_heads(const DecodeArgs& decode, const Work& work, int32_t id,
                                           const FreshRoom<S>& room, uint4* queries,
                                           const Fresh<S>& fresh) {
  const ToCacheArgs& store = decode.store;
  const KvView& kv = decode.attention.kv;
  const bool writes = blockIdx.x == 0 && work.head == work.kv_head * decode.group;
  clear_rest(decode.attention, work, queries, fresh);
  each_head(work, [&](int i) {
    const FreshHead head(decode, work, i);
    const Norm norm = head.norm(store);
    float* own = room.head(i);
    if (store.qkv.type != DType::kF32) widen(room, i, head.dim);
    const float* shift = norm.shift == nullptr ? nullptr : norm.shift + head.at;
    if (head.which < 2) norm_head<4>(store, norm, head.dim, room.weight(i), shift, {}, own);
    __syncwarp();
    const KvStrides stride = head.which == 1 ? kv.k_stride : kv.v_stride;
    T* cache = static_cast<T*>(head.which == 1 ? kv.k : kv.v) + id * stride.block +
               work.kv_head * stride.head + work.fresh % kBlockTokens * head.dim;
    for (int d = threadIdx.x % 32 * 4; d < head.dim; d += 128) {
      if (head.which == 0) {
        T* to = reinterpret_cast<T*>(queries + d / 32 * 32 + i * 4 + d % 32 / 8) + d % 8;
        store_piece_as(to, kTypeOf<T>, 0, turned<4>(store, room.angles(), own, d));
        continue;
      }
      const Piece<4> x = head.which == 1 ? turned<4>(store, room.angles(), own, d)
                                         : load_clipped<4>(store, own + d);
      store_piece_as(head.which == 1 ? fresh.key : fresh.value(), kTypeOf<T>, d, x);
      if (writes) store_piece_as(cache, kTypeOf<T>, d, x);
    }
  });
}

}  // namespace tensormill::decode
