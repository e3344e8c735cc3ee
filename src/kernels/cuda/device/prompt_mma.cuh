#pragma once

// Prompt attention with the tensor instructions of every GPU since sm_80. A block takes 64 query
// rows of one head, a warp 16 of them; keys and values come in tiles, one ahead.

#include "kernels/cuda/device/prompt_softmax.cuh"
#include "kernels/cuda/launch.cuh"

namespace tensormill {

inline constexpr int kMmaRows = 64, kMmaThreads = 128;

// Head dims are padded to these with zeros. A row's pieces of 16 bytes are spread over the banks.
template <int kQueryDim, int kValueDim>
struct MmaShape {
  static constexpr int kKeys = kQueryDim > 128 ? 32 : 64;  // of a tile
  static constexpr int kDim = kQueryDim, kValues = kValueDim;
  static constexpr int kPitch = kQueryDim > 128 ? 256 : kQueryDim;  // of a key in shared memory
};

template <class Shape>
struct MmaShared {
  alignas(16) uint16_t k[2][Shape::kKeys * Shape::kPitch];
  alignas(16) uint16_t v[2][Shape::kKeys * Shape::kValues];
};

template <int kPitch>
__device__ __forceinline__ int place_of(int token, int piece) {
  return token * kPitch + (piece ^ token % 8) * 8;
}

// 16 bytes, or zeros.
__device__ __forceinline__ void copy_piece(uint16_t* to, const uint16_t* from, bool used) {
  const auto at = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(from),
               "r"(used ? 16 : 0)
               : "memory");
}

__device__ __forceinline__ void commit_pieces() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

__device__ __forceinline__ void wait_pieces() {
  asm volatile("cp.async.wait_group 0;" ::: "memory");
}

// Four 8 x 8 matrices, whose rows the lanes name; kTransposed: turned on the way.
template <bool kTransposed>
__device__ __forceinline__ void load_matrices(const uint16_t* row, uint32_t (&x)[4]) {
  const auto at = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  if constexpr (kTransposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                 : "r"(at)
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                 : "r"(at)
                 : "memory");
  }
}

// d (16 x 8) += a (16 x 16) b (16 x 8).
template <class T>
__device__ __forceinline__ void multiply(const uint32_t* a, const uint32_t* b, float* d);
template <>
__device__ __forceinline__ void multiply<__nv_bfloat16>(const uint32_t* a, const uint32_t* b,
                                                        float* d) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
template <>
__device__ __forceinline__ void multiply<__half>(const uint32_t* a, const uint32_t* b, float* d) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Starts to bring the keys or values from `key` on. Those that nobody sees become zeros: unused
// places of the cache may hold anything, and 0 * NaN is NaN.
template <int kPitch, int kKeys>
__device__ __forceinline__ void bring(const void* cache, KvStrides strides, int dim,
                                      const PromptWork& work, int32_t key, uint16_t* to) {
  constexpr int kPieces = kPitch / 8, kTokens = kMmaThreads / kPieces;  // of one step
  const auto* head = static_cast<const uint16_t*>(cache) + work.kv_head * strides.head;
  const int piece = static_cast<int>(threadIdx.x) % kPieces;
  const int32_t last = (work.keys - 1) / kBlockTokens;
  const uint16_t* block = head;
#pragma unroll
  for (int i = 0; i < kKeys / kTokens; ++i) {
    if (i * kTokens % kBlockTokens == 0) {
      const int32_t index = key / kBlockTokens + i * kTokens / kBlockTokens;
      block = head + work.blocks[min(index, last)] * strides.block;
    }
    const int token = i * kTokens + static_cast<int>(threadIdx.x) / kPieces;
    const bool used = key + token >= work.begin && key + token < work.keys && piece * 8 < dim;
    const uint16_t* from = block + token % kBlockTokens * dim + piece * 8;
    copy_piece(to + place_of<kPitch>(token, piece), used ? from : head, used);
  }
}

// The warp's queries as A operands, straight from memory.
template <int kDim>
__device__ __forceinline__ void load_queries(const AttentionArgs& args, const PromptWork& work,
                                             int row, uint32_t (&q)[kDim / 16][4]) {
  const int column = static_cast<int>(threadIdx.x % 4) * 2;
  const auto* from = static_cast<const uint16_t*>(args.q.x) + work.row * args.q.stride +
                     static_cast<int64_t>(work.head) * args.dim;
#pragma unroll
  for (int i = 0; i < kDim / 16 * 4; ++i) {
    const int r = row + i % 2 * 8, d = i / 4 * 16 + i / 2 % 2 * 8 + column;
    const bool used = r < work.rows && d < args.dim;
    q[i / 4][i % 4] = used ? *reinterpret_cast<const uint32_t*>(from + r * args.q.stride + d) : 0;
  }
}

// s = q k^T.
template <class T, int kDim, int kPitch, int kKeys>
__device__ __forceinline__ void multiply_keys(const uint32_t (&q)[kDim / 16][4], const uint16_t* k,
                                              float (&s)[kKeys / 2]) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int token = lane % 8 + lane / 16 * 8, piece = lane / 8 % 2;
#pragma unroll
  for (int e = 0; e < kKeys / 2; ++e) s[e] = 0;
#pragma unroll
  for (int d = 0; d < kDim / 16; ++d) {
#pragma unroll
    for (int n = 0; n < kKeys / 16; ++n) {
      uint32_t b[4];
      load_matrices<false>(k + place_of<kPitch>(n * 16 + token, d * 2 + piece), b);
      multiply<T>(q[d], b, s + n * 8);
      multiply<T>(q[d], b + 2, s + n * 8 + 4);
    }
  }
}

// o += p v.
template <class T, int kDim, int kKeys>
__device__ __forceinline__ void multiply_values(const uint32_t (&p)[kKeys / 4], const uint16_t* v,
                                                float (&o)[kDim / 2]) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int token = lane % 16, piece = lane / 16;
#pragma unroll
  for (int i = 0; i < kKeys / 16; ++i) {
#pragma unroll
    for (int n = 0; n < kDim / 16; ++n) {
      uint32_t b[4];
      load_matrices<true>(v + place_of<kDim>(i * 16 + token, n * 2 + piece), b);
      multiply<T>(p + i * 4, b, o + n * 8);
      multiply<T>(p + i * 4, b + 2, o + n * 8 + 4);
    }
  }
}

template <int kDim>
__device__ __forceinline__ void write_rows(const AttentionArgs& args, const PromptWork& work,
                                           int row, const float (&o)[kDim / 2]) {
  const int column = static_cast<int>(threadIdx.x % 4) * 2;
  auto* out = static_cast<uint16_t*>(args.out.x) + work.row * args.out.stride +
              static_cast<int64_t>(work.head) * args.value_dim;
#pragma unroll
  for (int e = 0; e < kDim / 2; e += 2) {
    const int r = row + e / 2 % 2 * 8, d = e / 4 * 8 + column;
    if (r >= work.rows || d >= args.value_dim) continue;
    *reinterpret_cast<uint32_t*>(out + r * args.out.stride + d) =
        args.out.type == DType::kBF16 ? pack_pair<__nv_bfloat16>(o[e], o[e + 1])
                                      : pack_pair<__half>(o[e], o[e + 1]);
  }
}

template <class T, class Shape, bool kTerms>
__global__ __launch_bounds__(kMmaThreads) void prompt_mma(
    const __grid_constant__ AttentionArgs args) {
  release_next();
  wait_for_previous();
  constexpr int kKeys = Shape::kKeys;
  extern __shared__ __align__(1024) unsigned char memory[];
  auto& shared = *reinterpret_cast<MmaShared<Shape>*>(memory);
  WorkCursor cursor;
  PromptWork work;
  if (!find_work<kMmaRows>(args, cursor, static_cast<int32_t>(blockIdx.x), work)) return;
  const int warp_row = static_cast<int>(threadIdx.x / 32) * 16;
  const int row = warp_row + static_cast<int>(threadIdx.x % 32 / 4);
  const int32_t first = work.begin / kBlockTokens * kBlockTokens;
  const int32_t column = static_cast<int32_t>(threadIdx.x % 4) * 2;
  const auto bring_tile = [&](int tile) {
    const int32_t key = first + tile * kKeys;
    bring<Shape::kPitch, kKeys>(args.kv.k, args.kv.k_stride, args.dim, work, key,
                                shared.k[tile % 2]);
    bring<Shape::kValues, kKeys>(args.kv.v, args.kv.v_stride, args.value_dim, work, key,
                                 shared.v[tile % 2]);
    commit_pieces();
  };
  int tile = (work.end - first + kKeys - 1) / kKeys - 1;
  bring_tile(tile);
  uint32_t q[Shape::kDim / 16][4];
  load_queries<Shape::kDim>(args, work, row, q);
  PromptRows rows;
  set_rows(args.score, work, work.position + row, rows);
  const float scale = kTerms ? kLog2E : args.score.scale * kLog2E;
  float slope = 0, keep[2], o[Shape::kValues / 2] = {};
  if (kTerms && args.score.slopes != nullptr) slope = args.score.slopes[work.head];
  for (; tile >= 0; --tile) {
    wait_pieces();
    __syncthreads();  // the tile is there, and nobody reads the one before any more
    if (tile > 0) bring_tile(tile - 1);
    float s[kKeys / 2];
    uint32_t p[kKeys / 4];
    multiply_keys<T, Shape::kDim, Shape::kPitch, kKeys>(q, shared.k[tile % 2], s);
    const int32_t key = first + tile * kKeys, position = work.position + warp_row;
    if constexpr (kTerms) add_terms(args.score, rows, slope, key + column, s);
    if (!all_seen(args.score, work, position, position + 15, key, key + kKeys)) {
      mask_unseen(args.score, rows, work.prefix, key + column, s);
    }
    soften<true>(rows, scale, s, keep);
    rescale(keep, o);
    pack_weights<T>(s, p);
    multiply_values<T, Shape::kValues, kKeys>(p, shared.v[tile % 2], o);
  }
  float inverse[2];
  invert_sums(rows, inverse);
  rescale(inverse, o);
  write_rows<Shape::kValues>(args, work, row, o);
}

}  // namespace tensormill
