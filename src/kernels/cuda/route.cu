#include <algorithm>

#include "kernels/cuda/entries.h"
#include "kernels/cuda/launch.cuh"

namespace tensormill {
namespace {

constexpr int32_t kRowWarps = 4;     // rows of a block that only chooses
constexpr int32_t kPlaceWarps = 32;  // of a block that places one expert's rows
constexpr int32_t kFewPairs = 256;   // of rows and experts that one block chooses and places
constexpr int32_t kAhead = 4;        // loads of a lane in flight
constexpr int32_t kNobody = 0x7fffffff;

// Unsigned numbers in the order of floats; NaN comes first and -0 is 0. 0 stands for nothing.
__device__ __forceinline__ uint32_t order_key(float x) {
  if (isnan(x)) return 1;
  const uint32_t bits = __float_as_uint(x + 0.0f);
  return (bits >> 31) != 0 ? ~bits : bits | 0x80000000u;
}
__device__ __forceinline__ float value_of(uint32_t key) {
  return __uint_as_float((key >> 31) != 0 ? key & 0x7fffffffu : ~key);
}

__device__ __forceinline__ float warp_sum(float x) {
  for (int32_t step = 16; step > 0; step /= 2) x += __shfl_xor_sync(~0u, x, step);
  return x;
}
__device__ __forceinline__ float warp_max(float x) {
  for (int32_t step = 16; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(~0u, x, step));
  return x;
}

struct Best {
  uint32_t key;
  int32_t index;
};

// One row's choice, a warp's work. Expert 32 * i + lane is a lane's i-th; a set of experts is a
// lane's bits for its own.
template <int32_t each>
struct Choice {
  const RouteArgs& args;
  int32_t lane;
  float score[each];
  uint32_t key[each];  // of the score with its bias

  __device__ Choice(const RouteArgs& all, int64_t row)
      : args(all), lane(static_cast<int32_t>(threadIdx.x % 32)) {
    const float* logits = args.logits + row * args.experts;
    float bias[each];
#pragma unroll
    for (int32_t i = 0; i < each; ++i) {
      const bool real = 32 * i + lane < args.experts;
      score[i] = real ? logits[32 * i + lane] : -INFINITY;
      bias[i] = real && args.bias != nullptr ? args.bias[32 * i + lane] : 0.0f;
    }
    if (args.score == ExpertScore::kSoftmax) {
      softmax();
    } else {
#pragma unroll
      for (int32_t i = 0; i < each; ++i) score[i] = 1 / (1 + expf(-score[i]));
    }
#pragma unroll
    for (int32_t i = 0; i < each; ++i) key[i] = order_key(score[i] + bias[i]);
  }

  __device__ void softmax() {
    float most = score[0], sum = 0;
#pragma unroll
    for (int32_t i = 1; i < each; ++i) most = fmaxf(most, score[i]);
    most = warp_max(most);
#pragma unroll
    for (int32_t i = 0; i < each; ++i) sum += score[i] = expf(score[i] - most);
    sum = warp_sum(sum);
#pragma unroll
    for (int32_t i = 0; i < each; ++i) score[i] /= sum;
  }

  __device__ uint32_t range(int32_t begin, int32_t end) const {
    uint32_t bits = 0;
#pragma unroll
    for (int32_t i = 0; i < each; ++i) {
      if (32 * i + lane >= begin && 32 * i + lane < end) bits |= 1u << i;
    }
    return bits;
  }

  // The first of the open ones with the largest key; it is closed.
  __device__ Best take_best(const uint32_t (&keys)[each], uint32_t& open) const {
    Best best{0, kNobody};
#pragma unroll
    for (int32_t i = 0; i < each; ++i) {
      if ((open >> i & 1) != 0 && keys[i] > best.key) best = {keys[i], 32 * i + lane};
    }
    const uint32_t most = __reduce_max_sync(~0u, best.key);
    const auto first = static_cast<int32_t>(
        __reduce_min_sync(~0u, static_cast<uint32_t>(best.key == most ? best.index : kNobody)));
    if (first % 32 == lane) open &= ~(1u << first / 32);
    return {most, first};
  }

  // The experts of the groups that may be taken.
  __device__ uint32_t open_groups() const {
    const int32_t length = args.experts / args.groups;
    uint32_t group_key[each] = {};
    for (int32_t g = 0; g < args.groups; ++g) {
      uint32_t open = range(g * length, (g + 1) * length);
      float value = 0;
      for (int32_t i = 0; i < args.group_best; ++i) value += value_of(take_best(key, open).key);
#pragma unroll
      for (int32_t i = 0; i < each; ++i) {
        if (32 * i + lane == g) group_key[i] = order_key(value);
      }
    }
    uint32_t open = 0, left = range(0, args.groups);
    for (int32_t i = 0; i < args.active_groups; ++i) {
      const int32_t g = take_best(group_key, left).index;
      open |= range(g * length, (g + 1) * length);
    }
    return open;
  }

  __device__ void write(int32_t* expert, float* weight) const {
    uint32_t open = args.groups > 1 ? open_groups() : range(0, args.experts);
    uint32_t taken = open;
    for (int32_t i = 0; i < args.active; ++i) take_best(key, open);
    taken &= ~open;
    float sum = 0;
#pragma unroll
    for (int32_t i = 0; i < each; ++i) sum += (taken >> i & 1) != 0 ? score[i] : 0.0f;
    sum = args.normalize ? warp_sum(sum) : 1.0f;
    int32_t at = 0;
#pragma unroll
    for (int32_t i = 0; i < each; ++i) {
      const bool mine = (taken >> i & 1) != 0;
      const uint32_t all = __ballot_sync(~0u, mine);
      if (mine) {
        const int32_t to = at + __popc(all & ((1u << lane) - 1));
        expert[to] = 32 * i + lane;
        weight[to] = score[i] / sum * args.scale;
      }
      at += __popc(all);
    }
  }
};

template <int32_t each>
__global__ void __launch_bounds__(32 * kRowWarps) choose_rows(const RouteArgs args) {
  release_next();
  wait_for_previous();
  const int64_t row = int64_t{blockIdx.x} * kRowWarps + threadIdx.x / 32;
  if (row >= *args.live.count) return;
  Choice<each>(args, row).write(args.routes.expert + row * args.active,
                                args.routes.weight + row * args.active);
}

// A lane's experts of the pairs from i on, 32 pairs apart; -1 beyond the end.
__device__ __forceinline__ void load_pairs(const int32_t* expert, int32_t i, int32_t end,
                                           int32_t (&to)[kAhead]) {
#pragma unroll
  for (int32_t a = 0; a < kAhead; ++a) to[a] = i + 32 * a < end ? expert[i + 32 * a] : -1;
}

// A block gives the rows of one expert their places; its warps share the pairs.
__global__ void __launch_bounds__(32 * kPlaceWarps) place_rows(const RouteArgs args) {
  __shared__ int32_t before[kPlaceWarps], equal[kPlaceWarps];
  release_next();
  wait_for_previous();
  const Routes& routes = args.routes;
  const int32_t pairs = *args.live.count * args.active;
  const int32_t e = blockIdx.x, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int32_t share = (pairs + kPlaceWarps - 1) / kPlaceWarps;
  const int32_t begin = min(warp * share, pairs), end = min(begin + share, pairs);
  uint32_t less = 0, same = 0;
  int32_t expert[kAhead];
  for (int32_t i = begin; i < end; i += 32 * kAhead) {
    load_pairs(routes.expert, i + lane, end, expert);
#pragma unroll
    for (const int32_t other : expert) {
      less += other >= 0 && other < e;
      same += other == e;
    }
  }
  less = __reduce_add_sync(~0u, less);
  same = __reduce_add_sync(~0u, same);
  if (lane == 0) {
    before[warp] = static_cast<int32_t>(less);
    equal[warp] = static_cast<int32_t>(same);
  }
  __syncthreads();
  int32_t first = 0, place = 0;
  for (int32_t w = 0; w < kPlaceWarps; ++w) {
    first += before[w];
    place += w < warp ? equal[w] : 0;
  }
  if (threadIdx.x == 0) {
    routes.begin[e] = first;
    if (e == args.experts - 1) routes.begin[args.experts] = pairs;
  }
  if (same == 0) return;
  place += first;
  for (int32_t i = begin; i < end; i += 32 * kAhead) {
    load_pairs(routes.expert, i + lane, end, expert);
#pragma unroll
    for (int32_t a = 0; a < kAhead; ++a) {
      const bool mine = expert[a] == e;
      const uint32_t all = __ballot_sync(~0u, mine);
      if (mine) {
        const int32_t to = place + __popc(all & ((1u << lane) - 1));
        routes.place[i + 32 * a + lane] = to;
        routes.row[to] = (i + 32 * a + lane) / args.active;
      }
      place += __popc(all);
    }
  }
}

constexpr int32_t few_warps(int32_t each) {
  return each > 8 ? 8 : 32;  // as many as have enough registers
}

// All in one block: a warp chooses for a row, then a thread places a pair or begins an expert.
template <int32_t each>
__global__ void __launch_bounds__(32 * few_warps(each)) route_few(const RouteArgs args) {
  __shared__ alignas(16) int32_t expert[kFewPairs];
  release_next();
  wait_for_previous();
  const Routes& routes = args.routes;
  const int32_t rows = *args.live.count, pairs = rows * args.active;
  for (int32_t row = threadIdx.x / 32; row < rows; row += blockDim.x / 32) {
    Choice<each>(args, row).write(expert + row * args.active, routes.weight + row * args.active);
  }
  if (threadIdx.x < 4 && pairs + threadIdx.x < kFewPairs) expert[pairs + threadIdx.x] = kNobody;
  __syncthreads();
  for (int32_t i = threadIdx.x; i < pairs + args.experts + 1; i += blockDim.x) {
    const int32_t own = i < pairs ? expert[i] : i - pairs;
    const int32_t rivals = i < pairs ? i : 0;  // those of the same expert before it count too
    int32_t before = 0;
    for (int32_t j = 0; j < pairs; j += 4) {
      const int4 other = *reinterpret_cast<const int4*>(expert + j);
      before += (other.x < own) + (other.y < own) + (other.z < own) + (other.w < own);
      before += (other.x == own && j < rivals) + (other.y == own && j + 1 < rivals) +
                (other.z == own && j + 2 < rivals) + (other.w == own && j + 3 < rivals);
    }
    if (i < pairs) {
      routes.expert[i] = own;
      routes.place[i] = before;
      routes.row[before] = i / args.active;
    } else {
      routes.begin[own] = before;
    }
  }
}

template <int32_t each>
void route(const RouteArgs& args, const CudaContext& context) {
  const int32_t rows = args.live.bound;
  if (rows * args.active <= kFewPairs) {
    const int32_t warps = std::clamp(rows, 4, few_warps(each));
    launch(context, route_few<each>, 1, static_cast<uint32_t>(32 * warps), 0, args);
    return;
  }
  launch(context, choose_rows<each>, static_cast<uint32_t>((rows + kRowWarps - 1) / kRowWarps),
         32 * kRowWarps, 0, args);
  launch(context, place_rows, static_cast<uint32_t>(args.experts), 32 * kPlaceWarps, 0, args);
}

}  // namespace

void cuda_route(const RouteArgs& args, CudaContext& context) {
  if (args.experts <= 128) {
    route<4>(args, context);
  } else if (args.experts <= 256) {
    route<8>(args, context);
  } else {
    route<32>(args, context);
  }
}

}  // namespace tensormill
