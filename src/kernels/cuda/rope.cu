// The angles of a step: one thread an angle.

#include "kernels/cuda/entries.h"
#include "kernels/cuda/launch.cuh"

namespace tensormill {
namespace {

constexpr int kThreads = 128;

// In float, where the reference rounds too.
__device__ float dynamic_base(const RopeArgs& args, int32_t length) {
  const float ratio = __fdiv_rn(__fmul_rn(args.factor, static_cast<float>(length)),
                                static_cast<float>(args.original_length));
  const float stretch = ratio - (args.factor - 1);
  const auto exponent = static_cast<float>(args.dim / (args.dim - 2.0));
  const auto power =
      static_cast<float>(pow(static_cast<double>(stretch), static_cast<double>(exponent)));
  return args.theta * power;
}

// In double, as its reference computes.
__device__ float powers_base(const RopeArgs& args, int32_t prompt) {
  const double ratio = static_cast<double>(prompt) / args.original_length;
  const double stretch = exp2(ceil(log(ratio) / log(2.0) + 1)) - 1;
  return static_cast<float>(args.theta * pow(stretch, args.dim / (args.dim - 2.0)));
}

// Powers are taken in double and rounded: an error in a frequency grows with the position.
__device__ float frequency(const RopeArgs& args, int64_t row, int i) {
  if (args.length == RopeLength::kNone) return args.inv_freq[i];
  const int32_t prompt = args.prompts[row];
  const int32_t length =
      args.length == RopeLength::kPowers ? prompt : max(prompt, args.slots[row] + 1);
  if (length <= args.original_length) return args.inv_freq[i];
  if (args.length == RopeLength::kLong) return args.long_inv_freq[i];
  const float base =
      args.length == RopeLength::kPowers ? powers_base(args, length) : dynamic_base(args, length);
  const float exponent = static_cast<float>(2 * i) / static_cast<float>(args.dim);
  const auto power =
      static_cast<float>(pow(static_cast<double>(base), static_cast<double>(exponent)));
  return 1.0f / power;
}

__global__ void __launch_bounds__(kThreads) rope_angles(const __grid_constant__ RopeArgs args) {
  release_next();
  wait_for_previous();
  const int half = args.dim / 2;
  const int64_t angle_index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int64_t row = angle_index / (half * args.axes);
  if (row >= *args.live.count) return;
  const int place = static_cast<int>(angle_index % (half * args.axes));
  const int axis = place / half, i = place % half;
  const auto position = static_cast<float>(args.positions[axis][row]);
  const float angle = __fmul_rn(position, frequency(args, row, i));
  float* to = args.cos_sin + (row * args.axes + axis) * args.dim + i;
  to[0] = cosf(angle) * args.scale;
  to[half] = sinf(angle) * args.scale;
}

}  // namespace

void cuda_rope(const RopeArgs& args, CudaContext& context) {
  const int64_t angles = static_cast<int64_t>(args.live.bound) * args.axes * (args.dim / 2);
  const auto blocks = static_cast<unsigned>((angles + kThreads - 1) / kThreads);
  launch(context, rope_angles, blocks, kThreads, 0, args);
}

}  // namespace tensormill
