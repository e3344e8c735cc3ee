#pragma once

// What becomes of one head of a packed query, key and value product: clip, norm and rope, by a warp
// in shared memory. Two kernels do it, and both get the same bits.

#include <cuda_pipeline_primitives.h>

#include "kernels/cuda/device/rows.cuh"
#include "kernels/table.h"

namespace tensormill {

// Whether all of it lies in aligned pieces of four values.
inline bool in_fours(const ToCacheArgs& args) {
  const KvView& kv = args.kv;
  bool fours = args.dim % 4 == 0 && args.value_dim % 4 == 0 && args.qkv.stride % 4 == 0 &&
               args.q.stride % 4 == 0 && kv.k_stride.block % 4 == 0 && kv.k_stride.head % 4 == 0 &&
               kv.v_stride.block % 4 == 0 && kv.v_stride.head % 4 == 0 && aligned(args.qkv.x, 16) &&
               aligned(args.q.x, 16) && aligned(kv.k, 16) && aligned(kv.v, 16);
  if (args.cos_sin != nullptr) fours = fours && args.rope_dim % 8 == 0 && aligned(args.cos_sin, 16);
  for (const Norm& norm : {args.q_norm, args.k_norm}) {
    if (norm.kind != NormKind::kNone) fours = fours && aligned(norm.weight, 16);
  }
  return fours;
}

template <int kCount>
__device__ __forceinline__ Piece<kCount> clipped(const ToCacheArgs& args, Piece<kCount> piece) {
  if (args.clip > 0) {
    for (float& x : piece.x) x = fminf(fmaxf(x, -args.clip), args.clip);
  }
  return piece;
}

template <int kCount>
__device__ __forceinline__ Piece<kCount> load_clipped(const ToCacheArgs& args, const float* from) {
  return clipped(args, load_piece<kCount>(from));
}

// Copies to shared memory without waiting for it; the group's threads take i = first, first + step,
// ... below count.
template <int kCount, class T>
__device__ __forceinline__ void fetch(T* to, const T* from, int count, int first, int step) {
  for (int i = first; i < count; i += step) {
    __pipeline_memcpy_async(to + i, from + i, kCount * sizeof(T));
  }
}

// What a norm subtracts from and multiplies onto its values.
struct Moments {
  float mean, inverse;
};

// get(i): kCount values from i; the group's threads take i = first, first + step, ... below width.
// sum(x): the sum over the group.
template <int kCount, class Get, class Sum>
__device__ __forceinline__ Moments moments(const Norm& norm, int width, int first, int step,
                                           Get&& get, Sum&& sum) {
  float mean = 0;
  if (norm.kind == NormKind::kLayer) {
    float own = 0;
    for (int i = first; i < width; i += step) {
      for (const float x : get(i).x) own += x;
    }
    mean = sum(own, 0) / static_cast<float>(width);
  }
  float own = 0;
  for (int i = first; i < width; i += step) {
    for (const float x : get(i).x) own = fmaf(x - mean, x - mean, own);
  }
  return {mean, rsqrtf(sum(own, 1) / static_cast<float>(width) + norm.eps)};
}

__device__ __forceinline__ float turn(float x, float cosine, float other, float sine) {
  return fmaf(x, cosine, __fmul_rn(other, sine));
}

// Elements i .. i + kCount of a head after its rope. angles: the row's.
template <int kCount>
__device__ __forceinline__ Piece<kCount> turned(const ToCacheArgs& args, const float* angles,
                                                const float* head, int i) {
  Piece<kCount> x = load_piece<kCount>(head + i);
  if (args.cos_sin == nullptr || i >= args.rope_dim * args.rope_axes) return x;
  const int axis = args.rope_axes == 1 ? 0 : i / args.rope_dim;
  const int at = i - axis * args.rope_dim, half = args.rope_dim / 2;
  const float* cosine = angles + axis * args.rope_dim;
  if (args.neighbours) {
    for (int j = 0; j < kCount; ++j) {
      const int angle = (at + j) / 2;
      const bool first = (at + j) % 2 == 0;
      const float other = head[first ? i + j + 1 : i + j - 1];
      x.x[j] = turn(x.x[j], cosine[angle], first ? -other : other, cosine[half + angle]);
    }
    return x;
  }
  const bool first = at < half;
  const int angle = first ? at : at - half;
  const Piece<kCount> other = load_piece<kCount>(head + (first ? i + half : i - half));
  const Piece<kCount> c = load_piece<kCount>(cosine + angle);
  const Piece<kCount> s = load_piece<kCount>(cosine + half + angle);
  for (int j = 0; j < kCount; ++j) {
    x.x[j] = turn(x.x[j], c.x[j], first ? -other.x[j] : other.x[j], s.x[j]);
  }
  return x;
}

// Clips and norms a head of `dim` values in shared memory. weight: of the norm, [dim]. of_all: the
// moments where the norm goes over all heads.
template <int kCount>
__device__ __forceinline__ void norm_head(const ToCacheArgs& args, const Norm& norm, int dim,
                                          const float* weight, const float* shift,
                                          const Moments& of_all, float* head) {
  const int first = threadIdx.x % 32 * kCount, step = 32 * kCount;
  const auto get = [&](int i) { return load_clipped<kCount>(args, head + i); };
  if (norm.kind == NormKind::kNone) {
    for (int i = first; i < dim && args.clip > 0; i += step) store_piece(head + i, get(i));
    return;
  }
  const Moments moment =
      args.norm_span == HeadNorm::kAllHeads
          ? of_all
          : moments<kCount>(norm, dim, first, step, get, [](float x, int) { return warp_sum(x); });
  for (int i = first; i < dim; i += step) {
    Piece<kCount> x = get(i);
    const Piece<kCount> scale = load_piece<kCount>(weight + i);
    for (int j = 0; j < kCount; ++j) {
      x.x[j] = __fmul_rn(__fmul_rn(x.x[j] - moment.mean, moment.inverse), scale.x[j]);
      if (shift != nullptr) x.x[j] = __fadd_rn(x.x[j], shift[i + j]);
    }
    store_piece(head + i, x);
  }
}

}  // namespace tensormill
