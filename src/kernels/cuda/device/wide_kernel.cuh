#pragma once

// A block stays and takes tiles of 128 rows by 256 outputs until none is left. One thread brings
// pieces of 64 of the inner dimension by tensor maps, two warpgroups multiply 64 rows each. Two
// blocks may form a cluster: they take rows next to each other and share the weights they bring.

#include "kernels/cuda/device/wide_hopper.cuh"
#include "kernels/cuda/launch.cuh"

namespace tensormill::wide {

inline constexpr int32_t kRows = 128, kOutputs = 256, kDepth = 64;
inline constexpr int32_t kThreads = 384, kWorkWarps = 8;
inline constexpr int32_t kStages = 4;
inline constexpr uint32_t kRowBytes = kRows * kDepth * 2, kWeightBytes = kOutputs * kDepth * 2;
inline constexpr uint32_t kStageBytes = kRowBytes + kWeightBytes;
inline constexpr uint32_t kShared = kStages * kStageBytes + 1024;
// Tiles next to each other in time: so many of rows for one of outputs, for the sake of L2.
inline constexpr int32_t kTogether = 8;

struct Maps {
  CUtensorMap in, weight;
};

// kSmooth: x / (1 + exp(-x (slope + cube x^2))); kGelu: the form with erf.
enum class Curve : uint8_t { kNone, kRelu, kSmooth, kGelu };

// out = curve(sum + bias), times the next output where it is gated.
struct Work {
  const int32_t *begin, *count;
  int32_t experts, outputs, chunks;
  const float* bias;
  Curve curve;
  bool gated, f32_out;
  float slope, cube;
  void* out;
  int64_t out_stride;
};

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
struct Tile {
  int32_t expert, first, rows, output;
  bool cut;
};

// Which tiles there are. `before` counts the row tiles of all experts before each. Where the last
// round of tiles would leave half of the clusters without work, its tiles are cut into halves of
// 64 rows a block.
template <int kCluster>
struct Schedule {
  const Work& work;
  const int32_t* before;
  int32_t row_tiles, output_tiles, all_rows;
  int32_t whole;  // tiles that aren't cut

  __device__ Schedule(const Work& w, int32_t* counts) : work(w), before(counts), all_rows(0) {
    if (work.begin == nullptr) all_rows = *work.count;
    for (int32_t e = threadIdx.x; e < work.experts; e += kThreads) {
      counts[e + 1] = (end(e) - start(e) + kCluster * kRows - 1) / (kCluster * kRows);
    }
    __syncthreads();
    if (threadIdx.x < 32) add_up(counts);
    __syncthreads();
    row_tiles = before[work.experts];
    output_tiles = (work.outputs + kOutputs - 1) / kOutputs;
    const int32_t tiles = row_tiles * output_tiles, clusters = gridDim.x / kCluster;
    const int32_t rest = tiles % clusters;
    whole = kCluster == 2 && 2 * rest <= clusters ? tiles - rest : tiles;
  }
  __device__ int32_t start(int32_t e) const { return work.begin == nullptr ? 0 : work.begin[e]; }
  __device__ int32_t end(int32_t e) const {
    return work.begin == nullptr ? all_rows : work.begin[e + 1];
  }
  __device__ void add_up(int32_t* counts) const {
    const int32_t lane = threadIdx.x;
    int32_t sum = 0;
    for (int32_t from = 1; from <= work.experts; from += 32) {
      int32_t own = from + lane <= work.experts ? counts[from + lane] : 0;
      for (int32_t step = 1; step < 32; step *= 2) {
        const int32_t other = __shfl_up_sync(~0u, own, step);
        if (lane >= step) own += other;
      }
      if (from + lane <= work.experts) counts[from + lane] = sum + own;
      sum += __shfl_sync(~0u, own, 31);
    }
    if (lane == 0) counts[0] = 0;
  }
  __device__ bool find(int32_t index, int32_t rank, Tile& tile) const {
    int32_t half = 0;
    tile.cut = index >= whole;
    if (tile.cut) {
      half = (index - whole) % 2;
      index = whole + (index - whole) / 2;
    }
    if (index >= row_tiles * output_tiles) return false;
    const int32_t group = index / (kTogether * output_tiles);
    const int32_t within = index - group * kTogether * output_tiles;
    const int32_t height = min(kTogether, row_tiles - group * kTogether);
    const int32_t row_tile = group * kTogether + within % height;
    int32_t low = 0, high = work.experts;  // before[low] <= row_tile < before[high]
    while (high - low > 1) {
      const int32_t middle = (low + high) / 2;
      (before[middle] <= row_tile ? low : high) = middle;
    }
    tile.expert = low;
    tile.output = within / height * kOutputs;
    const int32_t rows = tile.cut ? kRows / 2 : kRows;
    tile.first =
        start(low) + (row_tile - before[low]) * kCluster * kRows + (half * kCluster + rank) * rows;
    tile.rows = max(0, min(rows, end(low) - tile.first));
    return true;
  }
};

struct Ring {
  uint32_t stage = 0, parity = 0;
  __device__ __forceinline__ void step() {
    if (++stage < kStages) return;
    stage = 0;
    parity ^= 1;
  }
};

// Addresses in shared memory.
struct Places {
  uint32_t stages, full, empty;
};

template <int kCluster>
__device__ void bring_all(const Maps& maps, const Schedule<kCluster>& schedule,
                          const Places& places, int32_t rank) {
  Ring ring;
  Tile tile;
  constexpr int32_t kPart = kOutputs / kCluster;
  for (int32_t index = blockIdx.x / kCluster; schedule.find(index, rank, tile);
       index += gridDim.x / kCluster) {
    const int32_t row = tile.expert * schedule.work.outputs + tile.output + rank * kPart;
    for (int32_t k = 0; k < schedule.work.chunks; ++k, ring.step()) {
      const uint32_t full = places.full + 8 * ring.stage;
      const uint32_t to = places.stages + ring.stage * kStageBytes;
      wait_at(places.empty + 8 * ring.stage, ring.parity ^ 1);
      expect_bytes(full, tile.cut ? kStageBytes - kRowBytes / 2 : kStageBytes);
      copy_box(to, maps.in, k * kDepth, tile.first, full);
      if (!tile.cut)
        copy_box(to + kRowBytes / 2, maps.in, k * kDepth, tile.first + kRows / 2, full);
      if constexpr (kCluster == 1) {
        copy_box(to + kRowBytes, maps.weight, k * kDepth, row, full);
      } else {
        copy_box_to_both(to + kRowBytes + rank * kPart * kDepth * 2, maps.weight, k * kDepth, row,
                         full);
      }
    }
  }
}

template <int kCluster>
__device__ __forceinline__ void release(const Places& places, uint32_t stage) {
  if (threadIdx.x % 32 != 0) return;
#pragma unroll
  for (int32_t rank = 0; rank < kCluster; ++rank) arrive_at(places.empty + 8 * stage, rank);
}

template <class T, int kCluster>
__device__ __forceinline__ void multiply_tile(float (&sum)[128], const Places& places, Ring& ring,
                                              int32_t chunks, int32_t group) {
  uint32_t last = 0;
  for (int32_t k = 0; k < chunks; ++k, ring.step()) {
    wait_at(places.full + 8 * ring.stage, ring.parity);
    const uint32_t at = places.stages + ring.stage * kStageBytes;
    const uint64_t a = matrix_at(at + group * (kRowBytes / 2)), b = matrix_at(at + kRowBytes);
    begin_products();
#pragma unroll
    for (int32_t i = 0; i < kDepth / 16; ++i) {
      multiply<T>(sum, a + 2 * i, b + 2 * i, k > 0 || i > 0);
    }
    commit_products();
    if (k > 0) {
      wait_products<1>();
      release<kCluster>(places, last);
    }
    last = ring.stage;
  }
  wait_products<0>();
  release<kCluster>(places, last);
}

// For a warpgroup without rows.
template <int kCluster>
__device__ __forceinline__ void skip_tile(const Places& places, Ring& ring, int32_t chunks) {
  for (int32_t k = 0; k < chunks; ++k, ring.step()) {
    wait_at(places.full + 8 * ring.stage, ring.parity);
    release<kCluster>(places, ring.stage);
  }
}

// The curve of all sums, or of a gated product's gates.
template <class Curved>
__device__ __forceinline__ void bend(float (&sum)[128], bool gated, Curved curved) {
#pragma unroll
  for (int32_t i = 0; i < 128; i += 2) sum[i] = curved(sum[i]);
  if (gated) return;
#pragma unroll
  for (int32_t i = 1; i < 128; i += 2) sum[i] = curved(sum[i]);
}

template <class T>
__device__ __forceinline__ uint32_t pack_pair(float low, float high) {
  if constexpr (std::is_same_v<T, __half>) {
    const __half2 pair = __floats2half2_rn(low, high);
    return *reinterpret_cast<const uint32_t*>(&pair);
  } else {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<const uint32_t*>(&pair);
  }
}

// Lane i of four gets the i-th value of each of the four, in their order.
__device__ __forceinline__ void exchange(uint32_t (&v)[4]) {
  const bool odd = (threadIdx.x & 1) != 0, high = (threadIdx.x & 2) != 0;
  const uint32_t a = __shfl_xor_sync(~0u, odd ? v[0] : v[1], 1);
  const uint32_t b = __shfl_xor_sync(~0u, odd ? v[2] : v[3], 1);
  (odd ? v[0] : v[1]) = a;
  (odd ? v[2] : v[3]) = b;
  const uint32_t c = __shfl_xor_sync(~0u, high ? v[0] : v[2], 2);
  const uint32_t d = __shfl_xor_sync(~0u, high ? v[1] : v[3], 2);
  (high ? v[0] : v[2]) = c;
  (high ? v[1] : v[3]) = d;
}

// The bias of a lane's two outputs of eight.
__device__ __forceinline__ float2 bias_at(const Work& work, int32_t output) {
  if (output >= work.outputs) return {0.0f, 0.0f};
  return *reinterpret_cast<const float2*>(work.bias + output);
}

// A lane's two rows lie 8 apart; sum[4 j ..] are outputs 8 j + 2 * (lane % 4) and the next of both.
__device__ __forceinline__ void bend_all(const Work& work, const Tile& tile, float (&sum)[128]) {
  if (work.bias != nullptr) {
#pragma unroll
    for (int32_t j = 0; j < 32; ++j) {
      const float2 bias = bias_at(work, tile.output + 8 * j + 2 * (threadIdx.x % 4));
      sum[4 * j] += bias.x;
      sum[4 * j + 1] += bias.y;
      sum[4 * j + 2] += bias.x;
      sum[4 * j + 3] += bias.y;
    }
  }
  // The curve is chosen once, not for each sum.
  if (work.curve == Curve::kSmooth) {
    const float slope = work.slope, cube = work.cube;
    bend(sum, work.gated,
         [&](float x) { return __fdividef(x, 1.0f + __expf(-x * (slope + cube * x * x))); });
  } else if (work.curve == Curve::kRelu) {
    bend(sum, work.gated, [](float x) { return fmaxf(x, 0.0f); });
  } else if (work.curve == Curve::kGelu) {
    bend(sum, work.gated, [](float x) { return 0.5f * x * (1.0f + erff(x * 0.70710678f)); });
  }
}

template <class T>
__device__ __forceinline__ void write_gated(const Work& work, const float (&sum)[128],
                                            const Tile& tile, int32_t local) {
  const int32_t lane = threadIdx.x % 4;
  T* out = static_cast<T*>(work.out) + int64_t{tile.first + local} * work.out_stride;
#pragma unroll
  for (int32_t j = 0; j < 32; j += 4) {
    uint32_t v[4];  // of both rows
#pragma unroll
    for (int32_t i = 0; i < 4; ++i) {
      const float* s = sum + 4 * (j + i);
      v[i] = pack_pair<T>(s[0] * s[1], s[2] * s[3]);
    }
    exchange(v);
    const int32_t at = tile.output / 2 + 4 * (j + lane);
    if (2 * at >= work.outputs) continue;
    const uint2 first = {__byte_perm(v[0], v[1], 0x5410), __byte_perm(v[2], v[3], 0x5410)};
    const uint2 second = {__byte_perm(v[0], v[1], 0x7632), __byte_perm(v[2], v[3], 0x7632)};
    if (local < tile.rows) *reinterpret_cast<uint2*>(out + at) = first;
    if (local + 8 < tile.rows) *reinterpret_cast<uint2*>(out + 8 * work.out_stride + at) = second;
  }
}

__device__ __forceinline__ void write_floats(const Work& work, const float (&sum)[128],
                                             const Tile& tile, int32_t local) {
  float* out = static_cast<float*>(work.out) + int64_t{tile.first + local} * work.out_stride;
#pragma unroll
  for (int32_t j = 0; j < 32; ++j) {
    const int32_t at = tile.output + 8 * j + 2 * static_cast<int32_t>(threadIdx.x % 4);
    if (at >= work.outputs) continue;
    const float2 first = {sum[4 * j], sum[4 * j + 1]}, second = {sum[4 * j + 2], sum[4 * j + 3]};
    if (local < tile.rows) *reinterpret_cast<float2*>(out + at) = first;
    if (local + 8 < tile.rows) *reinterpret_cast<float2*>(out + 8 * work.out_stride + at) = second;
  }
}

template <class T>
__device__ __forceinline__ void write_halves(const Work& work, const float (&sum)[128],
                                             const Tile& tile, int32_t local) {
#pragma unroll
  for (int32_t row = 0; row < 2; ++row) {
    T* out = static_cast<T*>(work.out) + int64_t{tile.first + local + 8 * row} * work.out_stride;
#pragma unroll
    for (int32_t j = 0; j < 32; j += 4) {
      uint32_t v[4];
#pragma unroll
      for (int32_t i = 0; i < 4; ++i) {
        const float* s = sum + 4 * (j + i) + 2 * row;
        v[i] = pack_pair<T>(s[0], s[1]);
      }
      exchange(v);
      const int32_t at = tile.output + 8 * (j + static_cast<int32_t>(threadIdx.x % 4));
      if (at >= work.outputs || local + 8 * row >= tile.rows) continue;
      *reinterpret_cast<uint4*>(out + at) = {v[0], v[1], v[2], v[3]};
    }
  }
}

template <class T, int kCluster>
__device__ void multiply_all(const Schedule<kCluster>& schedule, const Places& places, int32_t rank,
                             int32_t group) {
  const Work& work = schedule.work;
  const int32_t thread = threadIdx.x % 128;
  const int32_t local = group * 64 + thread / 32 * 16 + thread % 32 / 4;
  Ring ring;
  Tile tile;
  float sum[128];
  for (int32_t index = blockIdx.x / kCluster; schedule.find(index, rank, tile);
       index += gridDim.x / kCluster) {
    if (tile.rows <= group * 64) {
      skip_tile<kCluster>(places, ring, work.chunks);
      continue;
    }
    multiply_tile<T, kCluster>(sum, places, ring, work.chunks, group);
    bend_all(work, tile, sum);
    if (work.gated) {
      write_gated<T>(work, sum, tile, local);
    } else if (work.f32_out) {
      write_floats(work, sum, tile, local);
    } else {
      write_halves<T>(work, sum, tile, local);
    }
  }
}
#endif

template <class T, int kCluster>
__global__ void __launch_bounds__(kThreads, 1)
    wide_kernel(const __grid_constant__ Maps maps, const __grid_constant__ Work work) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  extern __shared__ uint8_t memory[];
  __shared__ uint64_t barriers[2 * kStages];
  __shared__ int32_t before[kMaxExperts + 1];
  release_next();
  const Places places{(shared_address(memory) + 1023) / 1024 * 1024, shared_address(barriers),
                      shared_address(barriers + kStages)};
  if (threadIdx.x == 0) {
    for (uint32_t i = 0; i < kStages; ++i) {
      init_barrier(places.full + 8 * i, 1);
      init_barrier(places.empty + 8 * i, kCluster * kWorkWarps);
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  wait_for_previous();
  const Schedule<kCluster> schedule(work, before);
  const int32_t rank = kCluster == 1 ? 0 : static_cast<int32_t>(cluster_rank());
  if constexpr (kCluster > 1) meet_cluster();
  const int32_t group = static_cast<int32_t>(threadIdx.x / 128) - 1;
  if (group < 0) {
    give_registers<40>();
    if (threadIdx.x == 0) bring_all(maps, schedule, places, rank);
  } else {
    take_registers<232>();
    multiply_all<T>(schedule, places, rank, group);
  }
  // The other block may still arrive at this one's barriers.
  __syncwarp();
  if constexpr (kCluster > 1) meet_cluster();
#endif
}

}  // namespace tensormill::wide
