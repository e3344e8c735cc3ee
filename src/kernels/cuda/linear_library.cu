#include <algorithm>

#include "kernels/cuda/device/activation.cuh"
#include "kernels/cuda/device/convert.cuh"
#include "kernels/cuda/entries.h"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/library_call.h"
#include "kernels/cuda/library_products.h"
#include "kernels/cuda/wide.h"

namespace tensormill {
namespace {

constexpr size_t kLibraryScratch = size_t{32} << 20;  // what cuBLASLt wants on sm_90
constexpr int32_t kWideRows = 256;                    // from so many on
constexpr float kWideUse = 0.78F;  // and so much of the GPU the wide kernel is faster
constexpr int32_t kFinishThreads = 256;
constexpr int32_t kWholeTiles = 256;  // rows of a range: cuBLASLt's tiles divide it
constexpr int32_t kTile = 32;         // of the plain kernel

// What is left to do to the sums of rows [0, rows) of `live` from `first_row` on.
struct Finish {
  const float* sum;  // [rows, sum_stride]
  int64_t sum_stride;
  const float* bias;    // [outputs] or null
  const float* addend;  // [rows, outputs] or null, from first_row on
  Activation act;
  float scale, softcap;
  Rows out;  // from first_row on
  int32_t outputs, first_row;
  const int32_t* count;
};

__device__ __forceinline__ float4 operator+(float4 a, float4 b) {
  return {a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w};
}

__device__ __forceinline__ void store_four(const Rows& out, int64_t at, float4 v) {
  if (out.type == DType::kF32) {
    *reinterpret_cast<float4*>(static_cast<float*>(out.x) + at) = v;
  } else if (out.type == DType::kF16) {
    const __half2 pair[2] = {__floats2half2_rn(v.x, v.y), __floats2half2_rn(v.z, v.w)};
    *reinterpret_cast<uint2*>(static_cast<__half*>(out.x) + at) =
        *reinterpret_cast<const uint2*>(pair);
  } else {
    const __nv_bfloat162 pair[2] = {__floats2bfloat162_rn(v.x, v.y),
                                    __floats2bfloat162_rn(v.z, v.w)};
    *reinterpret_cast<uint2*>(static_cast<__nv_bfloat16*>(out.x) + at) =
        *reinterpret_cast<const uint2*>(pair);
  }
}

// The sums of outputs [at, at + 4) of a row with bias and addend.
__device__ __forceinline__ float4 whole_sum(const Finish& f, int64_t row, int32_t at) {
  float4 v = *reinterpret_cast<const float4*>(f.sum + row * f.sum_stride + at);
  if (f.bias != nullptr) v = v + *reinterpret_cast<const float4*>(f.bias + at);
  if (f.addend != nullptr) {
    v = v + *reinterpret_cast<const float4*>(f.addend + row * f.outputs + at);
  }
  return v;
}

__device__ __forceinline__ float last(const Finish& f, float x) {
  return scale_and_cap(x, f.scale, f.softcap);
}

// A thread makes four values of one row. Everything is aligned to four values, `sum` and `addend`
// of a gated product to eight.
template <bool gated>
__global__ void __launch_bounds__(kFinishThreads) finish_four(const Finish f) {
  release_next();
  wait_for_previous();
  const int64_t row = blockIdx.x;
  const int32_t at = (blockIdx.y * kFinishThreads + threadIdx.x) * 4;
  if (f.first_row + row >= *f.count || at >= (gated ? f.outputs / 2 : f.outputs)) return;
  float4 v;
  if constexpr (gated) {
    const float4 a = whole_sum(f, row, 2 * at), b = whole_sum(f, row, 2 * at + 4);
    v = {activate(f.act, a.x) * a.y, activate(f.act, a.z) * a.w, activate(f.act, b.x) * b.y,
         activate(f.act, b.z) * b.w};
  } else {
    v = whole_sum(f, row, at);
    v = {activate(f.act, v.x), activate(f.act, v.y), activate(f.act, v.z), activate(f.act, v.w)};
  }
  store_four(f.out, row * f.out.stride + at,
             {last(f, v.x), last(f, v.y), last(f, v.z), last(f, v.w)});
}

__device__ __forceinline__ float whole_sum_at(const Finish& f, int64_t row, int32_t at) {
  float v = f.sum[row * f.sum_stride + at];
  if (f.bias != nullptr) v += f.bias[at];
  return f.addend == nullptr ? v : v + f.addend[row * f.outputs + at];
}

__global__ void __launch_bounds__(kFinishThreads) finish_one(const Finish f, bool gated) {
  release_next();
  wait_for_previous();
  const int64_t row = blockIdx.x;
  const int32_t at = blockIdx.y * kFinishThreads + threadIdx.x;
  if (f.first_row + row >= *f.count || at >= (gated ? f.outputs / 2 : f.outputs)) return;
  float v = activate(f.act, whole_sum_at(f, row, gated ? 2 * at : at));
  if (gated) v *= whole_sum_at(f, row, 2 * at + 1);
  store_as(f.out.x, f.out.type, row * f.out.stride + at, last(f, v));
}

bool aligned(const void* pointer, int64_t stride, DType type) {
  const size_t piece = 4 * dtype_size(type);
  return reinterpret_cast<uintptr_t>(pointer) % piece == 0 && stride % 4 == 0;
}

void finish(const Finish& f, bool gated, int32_t rows, const CudaContext& context) {
  const int32_t values = gated ? f.outputs / 2 : f.outputs;
  const bool fours = values % 4 == 0 && aligned(f.sum, f.sum_stride, DType::kF32) &&
                     aligned(f.bias, 0, DType::kF32) && aligned(f.addend, 0, DType::kF32) &&
                     aligned(f.out.x, f.out.stride, f.out.type);
  const int32_t span = kFinishThreads * (fours ? 4 : 1);
  const dim3 grid(static_cast<uint32_t>(rows), static_cast<uint32_t>((values + span - 1) / span));
  if (!fours) {
    launch(context, finish_one, grid, kFinishThreads, 0, f, gated);
  } else {
    launch(context, gated ? finish_four<true> : finish_four<false>, grid, kFinishThreads, 0, f);
  }
}

// Any types, strides and alignments: a block makes kTile x kTile outputs of one copy. A gated
// product's tile holds both of a pair.
__global__ void __launch_bounds__(kTile* kTile)
    multiply_plain(const LinearArgs args, const Packed weight, DType type, int64_t packed) {
  release_next();
  wait_for_previous();
  __shared__ float w[kTile][kTile + 1], x[kTile][kTile + 1];
  const int64_t copy = blockIdx.z;
  const int64_t weights = copy * packed * weight.outputs, in = copy * args.in_step;
  const int32_t rows = *args.live.count;
  const int32_t first_row = blockIdx.x * kTile, first = blockIdx.y * kTile;
  const int32_t i = threadIdx.x, j = threadIdx.y;
  if (first_row >= rows) return;
  float sum = 0;
  for (int32_t k = 0; k < weight.inner; k += kTile) {
    const bool inside = k + i < weight.inner;
    w[j][i] = inside && first + j < weight.outputs
                  ? load_as(weight.data, type, weights + (first + j) * packed + k + i)
                  : 0.0f;
    x[j][i] = inside && first_row + j < rows
                  ? load_as(args.in.x, args.in.type, in + (first_row + j) * args.in.stride + k + i)
                  : 0.0f;
    __syncthreads();
#pragma unroll
    for (int32_t l = 0; l < kTile; ++l) sum += w[i][l] * x[j][l];
    __syncthreads();
  }
  const int64_t row = first_row + j;
  const int32_t at = first + i;
  const bool real = row < rows && at < weight.outputs;
  if (real && args.bias != nullptr) sum += args.bias[at];
  if (real && args.addend != nullptr) sum += args.addend[row * weight.outputs + at];
  if (args.gated) {
    const float up = __shfl_down_sync(~0u, sum, 1);
    sum = activate(args.act, sum) * up;
    if (!real || at % 2 != 0) return;
  } else {
    sum = activate(args.act, sum);
    if (!real) return;
  }
  store_as(args.out.x, args.out.type,
           copy * args.out_step + row * args.out.stride + (args.gated ? at / 2 : at),
           scale_and_cap(sum, args.scale, args.softcap));
}

void run_plain(const LinearArgs& args, const CudaContext& context) {
  const dim3 grid(static_cast<uint32_t>((args.live.bound + kTile - 1) / kTile),
                  static_cast<uint32_t>((args.weight->outputs + kTile - 1) / kTile),
                  static_cast<uint32_t>(std::max(args.copies, 1)));
  launch(context, multiply_plain, grid, dim3(kTile, kTile), 0, args, *args.weight,
         library_type(args.weight->format), packed_row(args.weight->format, args.weight->inner));
}

LibraryProduct product_of(const LinearArgs& args) {
  const Packed& weight = *args.weight;
  LibraryProduct product{};
  product.format = weight.format;
  product.outputs = weight.outputs;
  product.inner = weight.inner;
  product.rows = args.live.bound;
  product.weight = weight.data;
  product.in = args.in.x;
  product.in_stride = args.in.stride;
  product.out = args.out.x;
  product.out_type = args.out.type;
  product.out_stride = args.out.stride;
  product.alpha = 1;
  product.copies = std::max(args.copies, 1);
  product.in_step = args.in_step;
  product.out_step = args.out_step;
  return product;
}

// Whether cuBLASLt alone can do all that is asked.
bool runs_whole(const LinearArgs& args) {
  const bool f32_out = args.out.type == DType::kF32;
  if (args.gated || args.softcap != 0) return false;
  if (!f32_out &&
      (args.out.type != args.in.type || args.bias != nullptr || args.addend != nullptr)) {
    return false;
  }
  if (args.act == Activation::kNone) {
    return args.scale == 0 || (args.bias == nullptr && args.addend == nullptr);
  }
  return args.scale == 0 && args.act == Activation::kRelu;
}

bool run_whole(const LinearArgs& args, const CudaContext& context, size_t scratch) {
  LibraryProduct product = product_of(args);
  product.bias = args.bias;
  product.addend = args.addend;
  product.act = args.act;
  if (args.scale != 0) product.alpha = args.scale;
  return context.products->multiply(product, context.workspace, scratch, context);
}

void* moved(const Rows& rows, int64_t elements) {
  return static_cast<char*>(rows.x) + elements * static_cast<int64_t>(dtype_size(rows.type));
}

// Sums by cuBLASLt, in place or in the workspace beyond `scratch`, the rest by the kernels above.
// In the workspace rows are done in ranges that fit.
bool run_finished(const LinearArgs& args, const CudaContext& context, size_t scratch) {
  const int32_t outputs = args.weight->outputs, rows = args.live.bound;
  const bool in_place = args.out.type == DType::kF32 && !args.gated && args.addend != args.out.x;
  auto* room = reinterpret_cast<float*>(static_cast<char*>(context.workspace) + scratch);
  const int64_t stride = (outputs + 3) / 4 * 4;
  const size_t most = (context.workspace_bytes - scratch) / (4 * static_cast<size_t>(stride));
  if (!in_place && most == 0) return false;
  int32_t length = rows;
  if (!in_place && most < static_cast<size_t>(rows)) {
    length = static_cast<int32_t>(most < kWholeTiles ? most : most / kWholeTiles * kWholeTiles);
  }
  for (int32_t row = 0; row < rows; row += length) {
    LibraryProduct product = product_of(args);
    product.rows = std::min(length, rows - row);
    product.in = moved(args.in, row * args.in.stride);
    product.out_type = DType::kF32;
    if (!in_place) {
      product.out = room;
      product.out_stride = stride;
    }
    if (!context.products->multiply(product, context.workspace, scratch, context)) {
      return false;
    }
    Finish f{static_cast<const float*>(product.out),
             product.out_stride,
             args.bias,
             args.addend,
             args.act,
             args.scale,
             args.softcap,
             args.out,
             outputs,
             row,
             args.live.count};
    f.out.x = moved(args.out, row * args.out.stride);
    if (args.addend != nullptr) f.addend += int64_t{row} * outputs;
    finish(f, args.gated, product.rows, context);
  }
  return true;
}

// How much of the time of all multiprocessors the wide kernel would use: its tiles are 256 by 256
// and take two of them each, and its last round may be one of halves.
float wide_use(const LinearArgs& args, const CudaContext& context) {
  const int64_t rows = args.live.bound, outputs = args.weight->outputs;
  const int64_t tiles = ((rows + 255) / 256) * ((outputs + 255) / 256);
  const int64_t pairs = std::max(1, context.multiprocessors / 2), rest = tiles % pairs;
  const int64_t halves = tiles / pairs * 2 + (rest == 0 ? 0 : 2 * rest <= pairs ? 1 : 2);
  return static_cast<float>(rows * outputs) / static_cast<float>(halves * pairs * 128 * 256);
}

// Products that end as cuBLASLt can't, in one kernel. False where that doesn't run.
bool try_wide(const LinearArgs& args, const CudaContext& context) {
  if (args.live.bound < kWideRows || args.addend != nullptr || args.scale != 0 ||
      args.softcap != 0 || wide_use(args, context) < kWideUse) {
    return false;
  }
  const WideProduct product{*args.weight, 1,        nullptr,    args.in,  args.out,
                            args.bias,    args.act, args.gated, args.live};
  if (!runs_wide(product, context)) return false;
  run_wide(product, context);
  return true;
}

void run_one(const LinearArgs& args, const CudaContext& context) {
  const size_t scratch = std::min(kLibraryScratch, context.workspace_bytes / 2);
  bool done = false;
  if (args.in.type != library_type(args.weight->format)) {
    // Only the plain kernel takes mixed types.
  } else if (runs_whole(args)) {
    done = run_whole(args, context, scratch);
  } else {
    done = try_wide(args, context) || run_finished(args, context, scratch);
  }
  if (!done) run_plain(args, context);
}

}  // namespace

void cuda_linear_library(const LinearArgs& args, CudaContext& context) {
  if (args.live.bound <= 0 || args.weight->outputs <= 0) return;
  if (args.copies <= 1 || runs_whole(args)) return run_one(args, context);
  const auto bytes = static_cast<int64_t>(dtype_size(library_type(args.weight->format))) *
                     packed_row(args.weight->format, args.weight->inner) * args.weight->outputs;
  for (int32_t copy = 0; copy < args.copies; ++copy) {
    Packed weight = *args.weight;
    weight.data = static_cast<const char*>(weight.data) + copy * bytes;
    LinearArgs one = args;
    one.weight = &weight;
    one.copies = 1;
    one.in.x = moved(args.in, copy * args.in_step);
    one.out.x = moved(args.out, copy * args.out_step);
    run_one(one, context);
  }
}

}  // namespace tensormill
