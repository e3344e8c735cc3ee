// Products of 1 to kFewRows rows. Their time is that of reading the weights once, so all is about
// keeping enough of them on their way, also while the small kernels between two products run.
// Blocks stay on their multiprocessors and walk over tiles of kTileOutputs outputs; a block's warps
// split the inner dimension. Each warp asks for its weights kStages chunks ahead, across the
// borders of tiles, and for the first ones before the kernel before has ended: weights depend on
// nothing. An output is the sum of its warps in ascending order, whatever the rows: they depend on
// the inner dimension and the device alone.

#include <algorithm>
#include <atomic>

#include "kernels/cuda/device/activation.cuh"
#include "kernels/cuda/device/convert.cuh"
#include "kernels/cuda/entries.h"
#include "kernels/cuda/launch.cuh"

namespace tensormill {
namespace {

constexpr int kTileOutputs = 16;  // of one mma
constexpr int kTileRows = 8;
constexpr int kStep = 32;    // inner values of two mma: four 16-byte pieces of each output
constexpr int kChunk = 128;  // inner values of a chunk: 256 bytes of each output, for the memory
constexpr int kStages = 3;   // chunks of a warp on their way
constexpr int kWarps = 12;   // of a multiprocessor
constexpr int kRowBytes = kChunk * 2;
constexpr int kChunkBytes = kTileOutputs * kRowBytes;
constexpr int kPitch = 20;  // of sums of 16 outputs: free of bank conflicts
constexpr int kSumBytes = 2 * kTileRows * kPitch * static_cast<int>(sizeof(float));  // of 8 rows
// Weights larger than this are asked for little by little before the kernel before has ended.
constexpr int64_t kPacedBytes = int64_t{8} << 20;

struct Few {
  const void* weight;
  const float *bias, *addend;
  const void* in;
  void* out;
  int64_t in_stride, out_stride;
  const int32_t* count;
  int32_t outputs, inner, rows;
  int32_t tiles, chunks;  // of the outputs, of the inner dimension
  Activation act;
  DType out_type;
  bool gated, paced;
  float scale, softcap;
};

// A warp's ring of chunks in shared memory. A row's 16-byte pieces are kept in the order 4 to 7, 0
// to 3 of each eight where the row is odd: reading is free of bank conflicts.
template <class T>
class Ring {
 public:
  // Chunks of one stage of all warps lie one after the other.
  __device__ __forceinline__ Ring(const Few& a, char* chunks)
      : a_(a),
        chunks_(chunks + threadIdx.x / 32 * kChunkBytes),
        stage_bytes_(blockDim.x / 32 * kChunkBytes),
        row_(threadIdx.x % 32 / kPieces),
        piece_(threadIdx.x % kPieces),
        tile_(blockIdx.x),
        chunk_(threadIdx.x / 32) {}

  // Small kernels run meanwhile, and each of their reads would queue behind all that is asked for
  // here. So a paced warp waits for half a chunk before it asks for the next half.
  __device__ __forceinline__ void ask_first() {
#pragma unroll
    for (int i = 0; i < kStages; ++i) {
      ask<kTileOutputs / 2>(i, a_.paced && i + 1 < kStages);
    }
  }

  __device__ __forceinline__ const char* await_oldest() {
    asm volatile("cp.async.wait_group %0;" ::"n"(kStages - 1) : "memory");
    __syncwarp();
    return chunks_ + oldest_ * stage_bytes_;
  }

  // The oldest was read: its place takes the next chunk.
  __device__ __forceinline__ void replace_oldest() {
    __syncwarp();
    ask<kTileOutputs>(oldest_, false);
    oldest_ = oldest_ + 1 == kStages ? 0 : oldest_ + 1;
  }

 private:
  static constexpr int kPieces = kRowBytes / 16;
  static constexpr int kRowsAtOnce = 32 / kPieces;
  static_assert(kRowsAtOnce % 2 == 0, "rows that a lane copies are all odd or all even");

  template <int kRowsToWait>
  __device__ __forceinline__ void ask(int stage, bool paced) {
    if (tile_ < a_.tiles) {
      const int32_t output = tile_ * kTileOutputs + row_;
      const int32_t k = chunk_ * kChunk + piece_ * 8;
      const T* from = static_cast<const T*>(a_.weight) + int64_t{output} * a_.inner + k;
      const auto to = static_cast<uint32_t>(__cvta_generic_to_shared(
          chunks_ + stage * stage_bytes_ + row_ * kRowBytes + (piece_ ^ row_ % 2 * 4) * 16));
#pragma unroll
      for (int i = 0; i < kTileOutputs; i += kRowsAtOnce) {
        if (output + i < a_.outputs && k < a_.inner) {
          asm volatile(
              "cp.async.cg.shared.global.L2::128B [%0], [%1], 16;" ::"r"(to + i * kRowBytes),
              "l"(__cvta_generic_to_global(from + int64_t{i} * a_.inner))
              : "memory");
        }
        if (paced && (i + kRowsAtOnce) % kRowsToWait == 0) {
          asm volatile("cp.async.wait_all;" ::: "memory");
        }
      }
      chunk_ += blockDim.x / 32;
      if (chunk_ >= a_.chunks) {
        chunk_ = threadIdx.x / 32;
        tile_ += gridDim.x;
      }
    }
    asm volatile("cp.async.commit_group;" ::: "memory");
  }

  const Few& a_;
  char* const chunks_;
  const int stage_bytes_, row_, piece_;
  int32_t tile_, chunk_;  // next to ask for
  int oldest_ = 0;
};

__device__ __forceinline__ void multiply(float (&c)[4], uint32_t a0, uint32_t a1, uint32_t a2,
                                         uint32_t a3, uint32_t b0, uint32_t b1, __nv_bfloat16) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

__device__ __forceinline__ void multiply(float (&c)[4], uint32_t a0, uint32_t a1, uint32_t a2,
                                         uint32_t a3, uint32_t b0, uint32_t b1, __half) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

// A warp's sums of a tile. Lane 4g + q takes 8 inner values at 8q of a step, of outputs g and g + 8
// and of row g. So both operands of an mma have the same order along the inner dimension, one that
// makes every load 16 bytes.
template <class T, int kTiles>
class Part {
 public:
  __device__ __forceinline__ explicit Part(const Few& a)
      : a_(a), group_(threadIdx.x % 32 / 4), at_(threadIdx.x % 4 * 8) {}

  __device__ __forceinline__ void read_rows(int32_t chunk) {
    const T* in = static_cast<const T*>(a_.in) + group_ * a_.in_stride + at_ + chunk * kChunk;
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile) {
      const bool row = tile * kTileRows + group_ < a_.rows;
      const T* from = in + tile * kTileRows * a_.in_stride;
#pragma unroll
      for (int i = 0; i < kSteps; ++i) {
        const bool inside = row && chunk * kChunk + i * kStep + at_ < a_.inner;
        rows_[tile][i] = inside ? *reinterpret_cast<const uint4*>(from + i * kStep) : uint4{};
      }
    }
  }

  // The rows that were read times a chunk of weights. Those of the next chunk are on their way
  // while the warp waits for its weights.
  __device__ __forceinline__ void add(const char* weights, int32_t chunk, int32_t next) {
    const char* from = weights + group_ * kRowBytes + at_ * 2;
#pragma unroll
    for (int i = 0; i < kSteps; ++i) {
      const bool inside = chunk * kChunk + i * kStep + at_ < a_.inner;
      const char* piece = from + (i ^ group_ % 2) * kStep * 2;
      const uint4 low = inside ? *reinterpret_cast<const uint4*>(piece) : uint4{};
      const uint4 high =
          inside ? *reinterpret_cast<const uint4*>(piece + kTileRows * kRowBytes) : uint4{};
#pragma unroll
      for (int tile = 0; tile < kTiles; ++tile) {
        const uint4 b = rows_[tile][i];
        multiply(even_[tile], low.x, high.x, low.y, high.y, b.x, b.y, T());
        multiply(odd_[tile], low.z, high.z, low.w, high.w, b.z, b.w, T());
      }
    }
    read_rows(next);
  }

  // To sums [kTiles * kTileRows][kPitch]. Begins the next tile.
  __device__ __forceinline__ void store(float* sums) {
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int row = tile * kTileRows + threadIdx.x % 4 * 2 + i % 2;
        sums[row * kPitch + group_ + i / 2 * 8] = even_[tile][i] + odd_[tile][i];
        even_[tile][i] = odd_[tile][i] = 0.0f;
      }
    }
  }

 private:
  static constexpr int kSteps = kChunk / kStep;

  const Few& a_;
  const int group_, at_;
  uint4 rows_[kTiles][kSteps];
  float even_[kTiles][4] = {}, odd_[kTiles][4] = {};
};

// Adds the warps' sums in ascending order, finishes and stores a tile's outputs.
template <int kTiles>
__device__ __forceinline__ void finish(const Few& a, const float* sums, int32_t first_output,
                                       float bias, int32_t count) {
  const int warps = blockDim.x / 32;
  const int32_t output = first_output + threadIdx.x % kTileOutputs;
  const int32_t even_count = (count + 1) / 2 * 2;  // whole warps
  for (int i = threadIdx.x; i < even_count * kTileOutputs; i += blockDim.x) {
    const int row = i / kTileOutputs;
    const bool wanted = row < count && output < a.outputs;
    float addend = 0.0f;
    if (a.addend && wanted) addend = a.addend[int64_t{row} * a.outputs + output];
    const float* sum = sums + row * kPitch + i % kTileOutputs;
    float x = 0.0f;
#pragma unroll 4
    for (int warp = 0; warp < warps; ++warp) x += sum[warp * kTiles * kTileRows * kPitch];
    x += bias;
    x += addend;
    if (a.gated) {
      const float up = __shfl_down_sync(~0u, x, 1);
      x = activate(a.act, x) * up;
      if (wanted && output % 2 == 0) {
        store_as(a.out, a.out_type, row * a.out_stride + output / 2,
                 scale_and_cap(x, a.scale, a.softcap));
      }
    } else if (wanted) {
      store_as(a.out, a.out_type, row * a.out_stride + output,
               scale_and_cap(activate(a.act, x), a.scale, a.softcap));
    }
  }
}

template <class T, int kTiles>
__global__ void __launch_bounds__(32 * kWarps, 1) few_rows(const __grid_constant__ Few a) {
  release_next();
  constexpr int kSums = kTiles * kTileRows * kPitch;
  extern __shared__ __align__(128) char shared[];
  const int warp = threadIdx.x / 32, warps = blockDim.x / 32;
  float* sums = reinterpret_cast<float*>(shared);  // [2][warps][kSums]: a tile's, the next one's
  Ring<T> ring(a, shared + kTiles * kSumBytes * warps);
  ring.ask_first();
  const auto bias_of = [&](int32_t tile) {
    const int32_t output = tile * kTileOutputs + threadIdx.x % kTileOutputs;
    return a.bias && output < a.outputs ? a.bias[output] : 0.0f;
  };
  float bias = bias_of(blockIdx.x);
  wait_for_previous();
  const int32_t count = min(*a.count, a.rows);
  Part<T, kTiles> part(a);
  part.read_rows(warp);
  int half = 0;
  for (int32_t tile = blockIdx.x; tile < a.tiles; tile += gridDim.x) {
    for (int32_t chunk = warp; chunk < a.chunks; chunk += warps) {
      const char* weights = ring.await_oldest();
      part.add(weights, chunk, chunk + warps < a.chunks ? chunk + warps : warp);
      ring.replace_oldest();
    }
    float* sums_of_tile = sums + half * warps * kSums;
    part.store(sums_of_tile + warp * kSums);
    __syncthreads();
    finish<kTiles>(a, sums_of_tile, tile * kTileOutputs, bias, count);
    bias = bias_of(tile + gridDim.x);
    half ^= 1;
  }
}

template <class T, int kTiles>
void launch_few(const Few& few, const CudaContext& context) {
  static std::atomic<uint64_t> allowed;  // a bit for each device
  const uint64_t bit = uint64_t{1} << context.device % 64;
  if ((allowed & bit) == 0) {
    allow_shared(few_rows<T, kTiles>, context.max_shared);
    allowed |= bit;
  }
  // The same warps for all rows, so that these have the same sums.
  const int most = static_cast<int>(context.max_shared) / (kStages * kChunkBytes + 2 * kSumBytes);
  const int warps = std::min({few.chunks, kWarps, most});
  const auto shared_of = [&](int chunks) {
    return size_t{kTiles} * kSumBytes * warps + size_t{kChunkBytes} * chunks;
  };
  // Few small tiles: a block for each, so that none waits for another.
  int32_t grid = few.tiles;
  if (few.chunks > kWarps || few.tiles > 4 * context.multiprocessors) {
    const int fit = static_cast<int>(context.max_shared / shared_of(kStages * warps));
    const int blocks = std::clamp((kWarps + warps / 2) / warps, 1, fit);
    grid = std::min(few.tiles, blocks * context.multiprocessors);
  }
  const bool all_held = grid == few.tiles && few.chunks < kStages * warps;
  const size_t shared = shared_of(all_held ? few.chunks : kStages * warps);
  launch(context, few_rows<T, kTiles>, grid, 32 * warps, shared, few);
}

template <class T>
void launch_few(const Few& few, const CudaContext& context) {
  if (few.rows <= kTileRows) {
    launch_few<T, 1>(few, context);
  } else {
    launch_few<T, 2>(few, context);
  }
}

}  // namespace

bool runs_few(const LinearArgs& args, const CudaContext& context) {
  const Packed& weight = *args.weight;
  const DType type = weight.format == WeightFormat::kBF16 ? DType::kBF16 : DType::kF16;
  return context.major >= 8 && weight.format != WeightFormat::kF32 && args.in.type == type &&
         args.copies <= 1 && args.live.bound >= 1 && args.live.bound <= kFewRows &&
         weight.inner % 8 == 0 && args.in.stride % 8 == 0 &&
         reinterpret_cast<uintptr_t>(args.in.x) % 16 == 0;
}

void cuda_linear_few(const LinearArgs& args, CudaContext& context) {
  const Packed& weight = *args.weight;
  Few few{};
  few.weight = weight.data;
  few.bias = args.bias;
  few.addend = args.addend;
  few.in = args.in.x;
  few.out = args.out.x;
  few.in_stride = args.in.stride;
  few.out_stride = args.out.stride;
  few.count = args.live.count;
  few.outputs = weight.outputs;
  few.inner = weight.inner;
  few.rows = args.live.bound;
  few.tiles = (weight.outputs + kTileOutputs - 1) / kTileOutputs;
  few.chunks = (weight.inner + kChunk - 1) / kChunk;
  few.act = args.act;
  few.out_type = args.out.type;
  few.gated = args.gated;
  few.paced = int64_t{2} * weight.outputs * weight.inner > kPacedBytes;
  few.scale = args.scale;
  few.softcap = args.softcap;
  if (weight.format == WeightFormat::kBF16) {
    launch_few<__nv_bfloat16>(few, context);
  } else {
    launch_few<__half>(few, context);
  }
}

}  // namespace tensormill
