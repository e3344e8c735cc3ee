// Attention for every shape and type: a block of a few warps for each query row and head. The warps
// share out the blocks of keys; each keeps a maximum, a sum and values of its own, merged at the
// end in the warps' order.

#include "kernels/cuda/device/attention_score.cuh"
#include "kernels/cuda/device/convert.cuh"
#include "kernels/cuda/entries.h"
#include "kernels/cuda/launch.cuh"

namespace tensormill {
namespace {

constexpr int kWarps = 4;
constexpr int kTogether = 4;  // keys whose products are summed at once
constexpr unsigned kAllLanes = 0xffffffffu;

__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(kAllLanes, x, step);
  return x;
}

__device__ __forceinline__ float warp_max(float x) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, step));
  return x;
}

// Lane t gets the product of q with the block's key t < tokens. Element d of q is q[d / 32] of lane
// d % 32.
template <int kParts, class T>
__device__ float products(const float (&q)[kParts], const T* k, int dim, int tokens, int lane) {
  float mine = 0;
  for (int t = 0; t < tokens; t += kTogether) {
    float sum[kTogether] = {};
#pragma unroll
    for (int part = 0; part < kParts; ++part) {
      const int d = part * 32 + lane;
      if (d >= dim) continue;
#pragma unroll
      for (int u = 0; u < kTogether; ++u) {
        sum[u] = fmaf(q[part], to_float(k[min(t + u, tokens - 1) * dim + d]), sum[u]);
      }
    }
#pragma unroll
    for (int u = 0; u < kTogether; ++u) {
      const float product = warp_sum(sum[u]);
      if (lane == t + u) mine = product;
    }
  }
  return mine;
}

// One warp's share of a query row and head.
template <int kParts>
struct Share {
  float maximum, sum;
  float value[kParts];
};

template <int kParts, class T>
__device__ void take_share(const AttentionArgs& args, int sequence, int row, int head, int warp,
                           int lane, Share<kParts>& share) {
  const int keys = args.keys[sequence];
  const int position = keys - args.row_begin[sequence + 1] + row;
  const SeenKeys seen = seen_keys(args.score, sequence, position, keys);
  const SeenBlocks blocks = seen_blocks(seen, kBlockTokens);
  const HeadBias bias = head_bias(args.score, head, position);
  const int kv_head = head / (args.heads / args.kv_heads);
  const auto* k = static_cast<const T*>(args.kv.k) + kv_head * args.kv.k_stride.head;
  const auto* v = static_cast<const T*>(args.kv.v) + kv_head * args.kv.v_stride.head;
  const int32_t* table = args.kv.table + static_cast<int64_t>(sequence) * args.kv.table_stride;
  float q[kParts];
#pragma unroll
  for (int part = 0; part < kParts; ++part) {
    const int d = part * 32 + lane;
    const int64_t at = row * args.q.stride + static_cast<int64_t>(head) * args.dim + d;
    q[part] = d < args.dim ? load_as(args.q.x, args.q.type, at) : 0.0f;
  }
  for (int i = warp; i < blocks.count; i += kWarps) {
    const int block = blocks.block(i), key = block * kBlockTokens + lane;
    const int tokens = min(seen.end - block * kBlockTokens, kBlockTokens);
    const int64_t id = table[block];
    const float product =
        products<kParts>(q, k + id * args.kv.k_stride.block, args.dim, tokens, lane);
    const float x =
        seen.holds(key) ? score_of(args.score, bias, product, key, position) : -INFINITY;
    const float top = fmaxf(warp_max(x), share.maximum);
    if (top == -INFINITY) continue;
    const float keep = __expf(share.maximum - top), weight = __expf(x - top);
    share.maximum = top;
    share.sum = share.sum * keep + warp_sum(weight);
#pragma unroll
    for (int part = 0; part < kParts; ++part) share.value[part] *= keep;
    const T* from = v + id * args.kv.v_stride.block + lane;
    for (int t = 0; t < tokens; ++t, from += args.value_dim) {
      const float p = __shfl_sync(kAllLanes, weight, t);
#pragma unroll
      for (int part = 0; part < kParts; ++part) {
        if (part * 32 + lane >= args.value_dim) continue;
        share.value[part] = fmaf(p, to_float(from[part * 32]), share.value[part]);
      }
    }
  }
}

template <int kParts, class T>
__global__ void __launch_bounds__(kWarps * 32) attend(const AttentionArgs args, QueryRows taken) {
  release_next();
  wait_for_previous();
  const int row = blockIdx.x, head = blockIdx.y;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int sequence = sequence_of(args, row);
  if (sequence < 0) return;
  const bool one = args.row_begin[sequence + 1] - args.row_begin[sequence] == 1;
  if (taken == (one ? QueryRows::kSeveral : QueryRows::kOne)) return;
  Share<kParts> share{-INFINITY, 0, {}};
  take_share<kParts, T>(args, sequence, row, head, warp, lane, share);

  __shared__ float maximum[kWarps], sum[kWarps], value[kWarps][kParts * 32];
  if (lane == 0) {
    maximum[warp] = share.maximum;
    sum[warp] = share.sum;
  }
#pragma unroll
  for (int part = 0; part < kParts; ++part) value[warp][part * 32 + lane] = share.value[part];
  __syncthreads();
  float top = maximum[0], total = 0;
  for (int w = 1; w < kWarps; ++w) top = fmaxf(top, maximum[w]);
  float scale[kWarps];
#pragma unroll
  for (int w = 0; w < kWarps; ++w) {
    scale[w] = top == -INFINITY ? 0.0f : __expf(maximum[w] - top);
    total += sum[w] * scale[w];
  }
  const float inverse = total > 0 ? 1.0f / total : 0.0f;
  const int64_t at = row * args.out.stride + static_cast<int64_t>(head) * args.value_dim;
  for (int d = threadIdx.x; d < args.value_dim; d += kWarps * 32) {
    float x = 0;
#pragma unroll
    for (int w = 0; w < kWarps; ++w) x = fmaf(value[w][d], scale[w], x);
    store_as(args.out.x, args.out.type, at + d, x * inverse);
  }
}

template <int kParts>
void launch_plain(const AttentionArgs& args, QueryRows taken, CudaContext& context) {
  const dim3 grid(args.rows.bound, args.heads);
  const auto start = [&](auto kernel) {
    launch(context, kernel, grid, dim3(kWarps * 32), 0, args, taken);
  };
  if (args.kv.type == DType::kF32) return start(attend<kParts, float>);
  if (args.kv.type == DType::kF16) return start(attend<kParts, __half>);
  start(attend<kParts, __nv_bfloat16>);
}

}  // namespace

void cuda_attention_plain(const AttentionArgs& args, QueryRows taken, CudaContext& context) {
  const int dim = args.dim > args.value_dim ? args.dim : args.value_dim;
  if (dim <= 128) return launch_plain<4>(args, taken, context);
  if (dim <= 256) return launch_plain<8>(args, taken, context);
  launch_plain<kMaxHeadDim / 32>(args, taken, context);
}

}  // namespace tensormill
