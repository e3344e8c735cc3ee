#include <algorithm>

#include "kernels/cuda/entries.h"
#include "kernels/cuda/launch.cuh"

namespace tensormill {
namespace {

constexpr int32_t kRowWarps = 4;    // rows of a block that only chooses
constexpr int32_t kPlaceWarps = 8;  // of a block that places one expert's rows
constexpr int32_t kMaxWarps = 32;   // of the one block that does all for few rows
constexpr int32_t kWarpRows = 2;    // how many rows a warp of that block may have
constexpr int32_t kShared = 48 * 1024;
constexpr int32_t kNobody = 0x7fffffff;

// Unsigned numbers in the order of floats; NaN comes first, -0 is 0.
__device__ __forceinline__ uint32_t order_key(float x) {
  if (isnan(x)) return 0;
  const uint32_t bits = __float_as_uint(x + 0.0f);
  return (bits >> 31) != 0 ? ~bits : bits | 0x80000000u;
}

__device__ __forceinline__ float warp_sum(float x) {
  for (int32_t step = 16; step > 0; step /= 2) x += __shfl_xor_sync(~0u, x, step);
  return x;
}

__device__ __forceinline__ float warp_max(float x) {
  for (int32_t step = 16; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(~0u, x, step));
  return x;
}

// The first of the open ones of [begin, end) with the largest key, now closed. Bit i of a lane's
// `open` stands for 32 * i + lane.
__device__ int32_t take_best(const uint32_t* keys, uint32_t& open, int32_t begin, int32_t end) {
  const int32_t lane = threadIdx.x % 32;
  uint32_t best = 0;
  int32_t at = kNobody;
  for (int32_t i = begin / 32; 32 * i < end; ++i) {
    const int32_t e = 32 * i + lane;
    if (e < begin || e >= end || (open >> i & 1) == 0) continue;
    if (at == kNobody || keys[e] > best) {
      best = keys[e];
      at = e;
    }
  }
  const uint32_t most = __reduce_max_sync(~0u, best);
  at = static_cast<int32_t>(
      __reduce_min_sync(~0u, static_cast<uint32_t>(best == most ? at : kNobody)));
  if (at % 32 == lane) open &= ~(1u << at / 32);
  return at;
}

// The lane's bits for [begin, end).
__device__ uint32_t lane_bits(int32_t begin, int32_t end) {
  const int32_t lane = threadIdx.x % 32;
  uint32_t bits = 0;
  for (int32_t i = begin / 32; 32 * i < end; ++i) {
    const int32_t e = 32 * i + lane;
    if (e >= begin && e < end) bits |= 1u << i;
  }
  return bits;
}

// The scores of one row, a warp's work.
struct Scores {
  const float* logits;
  ExpertScore kind;
  float most, sum;  // softmax

  __device__ Scores(const RouteArgs& args, int64_t row)
      : logits(args.logits + row * args.experts), kind(args.score), most(0), sum(1) {
    if (kind != ExpertScore::kSoftmax) return;
    const int32_t lane = threadIdx.x % 32;
    most = -INFINITY;
    for (int32_t e = lane; e < args.experts; e += 32) most = fmaxf(most, logits[e]);
    most = warp_max(most);
    sum = 0;
    for (int32_t e = lane; e < args.experts; e += 32) sum += expf(logits[e] - most);
    sum = warp_sum(sum);
  }
  __device__ float operator()(int32_t e) const {
    return kind == ExpertScore::kSoftmax ? expf(logits[e] - most) / sum
                                         : 1 / (1 + expf(-logits[e]));
  }
};

// The experts of the groups that may be taken. `groups` has room for a key of each.
__device__ uint32_t open_groups(const RouteArgs& args, const Scores& score, const uint32_t* keys,
                                uint32_t* groups) {
  const int32_t length = args.experts / args.groups;
  for (int32_t g = 0; g < args.groups; ++g) {
    uint32_t open = lane_bits(g * length, (g + 1) * length);
    float value = 0;
    for (int32_t i = 0; i < args.group_best; ++i) {
      const int32_t e = take_best(keys, open, g * length, (g + 1) * length);
      value += score(e) + (args.bias == nullptr ? 0 : args.bias[e]);
    }
    if (threadIdx.x % 32 == 0) groups[g] = order_key(value);
  }
  __syncwarp();
  uint32_t open = 0, left = lane_bits(0, args.groups);
  for (int32_t i = 0; i < args.active_groups; ++i) {
    const int32_t g = take_best(groups, left, 0, args.groups);
    open |= lane_bits(g * length, (g + 1) * length);
  }
  return open;
}

// Chooses one row's experts, a warp's work. `keys` has room for experts + groups.
__device__ void choose(const RouteArgs& args, int64_t row, uint32_t* keys) {
  const int32_t lane = threadIdx.x % 32;
  const Scores score(args, row);
  for (int32_t e = lane; e < args.experts; e += 32) {
    keys[e] = order_key(score(e) + (args.bias == nullptr ? 0 : args.bias[e]));
  }
  __syncwarp();
  uint32_t open = args.groups > 1 ? open_groups(args, score, keys, keys + args.experts)
                                  : lane_bits(0, args.experts);
  const uint32_t before = open;
  for (int32_t i = 0; i < args.active; ++i) take_best(keys, open, 0, args.experts);
  const uint32_t taken = before & ~open;
  float sum = 0;
  for (int32_t i = 0; 32 * i < args.experts; ++i) {
    if ((taken >> i & 1) != 0) sum += score(32 * i + lane);
  }
  sum = args.normalize ? warp_sum(sum) : 1;
  int64_t at = row * args.active;
  for (int32_t i = 0; 32 * i < args.experts; ++i) {
    const bool mine = (taken >> i & 1) != 0;
    const uint32_t all = __ballot_sync(~0u, mine);
    if (mine) {
      const int64_t to = at + __popc(all & ((1u << lane) - 1));
      args.routes.expert[to] = 32 * i + lane;
      args.routes.weight[to] = score(32 * i + lane) / sum * args.scale;
    }
    at += __popc(all);
  }
  __syncwarp();
}

// How many of the pairs [begin, end) have an expert before e, and e.
__device__ int2 count_pairs(const Routes& routes, int32_t e, int32_t begin, int32_t end) {
  uint32_t before = 0, equal = 0;
  for (int32_t i = begin + static_cast<int32_t>(threadIdx.x % 32); i < end; i += 32) {
    before += routes.expert[i] < e;
    equal += routes.expert[i] == e;
  }
  return {static_cast<int32_t>(__reduce_add_sync(~0u, before)),
          static_cast<int32_t>(__reduce_add_sync(~0u, equal))};
}

// Gives those of the pairs [begin, end) that have expert e the places from `place` on.
__device__ void place_pairs(const RouteArgs& args, int32_t e, int32_t begin, int32_t end,
                            int32_t place) {
  const int32_t lane = threadIdx.x % 32;
  for (int32_t i = begin + lane; i - lane < end; i += 32) {
    const bool mine = i < end && args.routes.expert[i] == e;
    const uint32_t all = __ballot_sync(~0u, mine);
    if (mine) {
      const int32_t to = place + __popc(all & ((1u << lane) - 1));
      args.routes.place[i] = to;
      args.routes.row[to] = i / args.active;
    }
    place += __popc(all);
  }
}

__device__ void write_begin(const RouteArgs& args, int32_t e, int32_t begin, int32_t pairs) {
  args.routes.begin[e] = begin;
  if (e == args.experts - 1) args.routes.begin[args.experts] = pairs;
}

__global__ void __launch_bounds__(32 * kRowWarps) choose_rows(const RouteArgs args) {
  extern __shared__ uint32_t keys[];
  release_next();
  wait_for_previous();
  const int32_t warp = threadIdx.x / 32;
  const int64_t row = int64_t{blockIdx.x} * kRowWarps + warp;
  if (row < *args.live.count) choose(args, row, keys + warp * (args.experts + args.groups));
}

// A block gives the rows of one expert their places; its warps share the pairs.
__global__ void __launch_bounds__(32 * kPlaceWarps) place_rows(const RouteArgs args) {
  __shared__ int2 counts[kPlaceWarps];
  release_next();
  wait_for_previous();
  const int32_t pairs = *args.live.count * args.active;
  const int32_t e = blockIdx.x, warp = threadIdx.x / 32;
  const int32_t share = (pairs + kPlaceWarps - 1) / kPlaceWarps;
  const int32_t begin = min(warp * share, pairs), end = min(begin + share, pairs);
  const int2 count = count_pairs(args.routes, e, begin, end);
  if (threadIdx.x % 32 == 0) counts[warp] = count;
  __syncthreads();
  int32_t first = 0, place = 0;
  for (int32_t w = 0; w < kPlaceWarps; ++w) {
    first += counts[w].x;
    if (w < warp) place += counts[w].y;
  }
  place_pairs(args, e, begin, end, first + place);
  if (threadIdx.x == 0) write_begin(args, e, first, pairs);
}

// All in one block, for few rows.
__global__ void __launch_bounds__(32 * kMaxWarps) route_few(const RouteArgs args) {
  extern __shared__ uint32_t keys[];
  release_next();
  wait_for_previous();
  const int32_t warps = blockDim.x / 32, warp = threadIdx.x / 32;
  const int32_t rows = *args.live.count;
  for (int32_t row = warp; row < rows; row += warps) {
    choose(args, row, keys + warp * (args.experts + args.groups));
  }
  __syncthreads();
  const int32_t pairs = rows * args.active;
  for (int32_t e = warp; e < args.experts; e += warps) {
    const int32_t first = count_pairs(args.routes, e, 0, pairs).x;
    place_pairs(args, e, 0, pairs, first);
    if (threadIdx.x % 32 == 0) write_begin(args, e, first, pairs);
  }
}

}  // namespace

void cuda_route(const RouteArgs& args, CudaContext& context) {
  const int32_t room = 4 * (args.experts + args.groups);
  const int32_t warps = std::min(kMaxWarps, kShared / room);
  const int32_t rows = args.live.bound;
  if (rows <= kWarpRows * warps) {
    launch(context, route_few, 1, static_cast<uint32_t>(32 * warps),
           static_cast<size_t>(room * warps), args);
    return;
  }
  launch(context, choose_rows, static_cast<uint32_t>((rows + kRowWarps - 1) / kRowWarps),
         32 * kRowWarps, static_cast<size_t>(room * kRowWarps), args);
  launch(context, place_rows, static_cast<uint32_t>(args.experts), 32 * kPlaceWarps, 0, args);
}

}  // namespace tensormill
