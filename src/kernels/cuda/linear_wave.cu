#include <algorithm>
#include <array>

#include "kernels/cuda/device/wave_kernel.cuh"
#include "kernels/cuda/entries.h"
#include "kernels/cuda/tensor_map.h"

// Small products of up to kSomeRows rows on Hopper: over before much is read, so that all is about
// the way from the first input to the last output. Each block has a tile of outputs, or the blocks
// of a cluster share its inner dimension, and all of them run at once.

namespace tensormill {
namespace {

constexpr std::array<int, 3> kWidths = {32, 64, 192};  // of tiles
constexpr std::array<int, 3> kSplits = {1, 2, 4};
constexpr int kMostStages = 24;

struct Plan {
  int width, split, rounds;
};

// About how long a block takes, in nanoseconds: what it reads, meeting the others of its cluster,
// the end of its tiles. Measured on GPT-2's products.
int64_t block_time(const Plan& plan, int64_t chunks, int64_t rows) {
  constexpr int64_t kBytesEach = 26, kMeeting[] = {0, 0, 1000, 0, 1500}, kEnd = 25;
  const int64_t stages = plan.rounds * ((chunks + plan.split - 1) / plan.split);
  return stages * kWaveChunk * 2 * (plan.width + rows) / kBytesEach + kMeeting[plan.split] +
         kEnd * plan.width;
}

Plan make_plan(const LinearArgs& args, const CudaContext& context) {
  const Packed& weight = *args.weight;
  const int chunks = (weight.inner + kWaveChunk - 1) / kWaveChunk;
  Plan best{};
  int64_t least = INT64_MAX;
  for (const int width : kWidths) {
    const int tiles = (weight.outputs + width - 1) / width;
    for (const int split : kSplits) {
      const int blocks = tiles * split;
      const int rounds = (blocks + context.multiprocessors - 1) / context.multiprocessors;
      if (split > 1 && (rounds > 1 || chunks < split)) continue;
      const Plan plan{width, split, rounds};
      const int64_t time = block_time(plan, chunks, args.live.bound);
      if (time >= least) continue;
      least = time;
      best = plan;
    }
  }
  return best;
}

template <class T, int kOutputs, int kGroups>
void launch_wave(const LinearArgs& args, const Plan& plan, const CudaContext& context) {
  constexpr uint32_t kWeightBytes = kOutputs * kWaveChunk * 2, kBiasBytes = kOutputs * 4;
  constexpr uint32_t kTurnBytes = WaveTurn<kOutputs, kGroups>::kBytes;
  constexpr uint32_t kBarrierBytes = kMostStages * 32;
  // A warpgroup reads whole tiles of rows, beyond those that are there.
  constexpr uint32_t kReadBytes = kGroups * kWaveRows * kWaveChunk * 2;
  const Packed& weight = *args.weight;
  const int32_t box_rows = (args.live.bound + 7) / 8 * 8;
  WaveProduct product{};
  product.tiles = (weight.outputs + kOutputs - 1) / kOutputs;
  product.chunks = (weight.inner + kWaveChunk - 1) / kWaveChunk;
  product.split = plan.split;
  product.input_bytes = box_rows * kWaveChunk * 2;
  const uint32_t stage = kWeightBytes + product.input_bytes;
  const uint32_t room = static_cast<uint32_t>(context.max_shared) - kTurnBytes - kBiasBytes -
                        kBarrierBytes - kReadBytes;
  const int32_t wanted = (product.chunks + plan.split - 1) / plan.split * plan.rounds;
  product.stages = std::min({wanted, kMostStages, static_cast<int32_t>(room / stage)});
  product.weight_at = product.stages * product.input_bytes;
  product.turn_at = product.weight_at + std::max(product.stages * kWeightBytes, kReadBytes);
  product.bias_at = product.turn_at + kTurnBytes;
  product.barrier_at = product.bias_at + kBiasBytes;
  product.bias = args.bias;
  product.end = end_of(args);
  product.live = args.live;
  const WaveMaps maps = {
      tensor_map({weight.data, args.in.type, weight.outputs, weight.inner, weight.inner},
                 {kOutputs, kWaveChunk}),
      tensor_map({args.in.x, args.in.type, args.live.bound, weight.inner, args.in.stride},
                 {box_rows, kWaveChunk})};
  constexpr auto kernel = wave_kernel<T, kOutputs, kGroups>;
  allow_shared_once<kernel>(context, context.max_shared);
  const int32_t blocks = (product.tiles + plan.rounds - 1) / plan.rounds * plan.split;
  launch_clusters(context, kernel, blocks, kGroups * 128 + 64, plan.split,
                  product.barrier_at + kBarrierBytes, maps, product);
}

template <class T, int kOutputs>
void launch_rows(const LinearArgs& args, const Plan& plan, const CudaContext& context) {
  if (args.live.bound <= kWaveRows) return launch_wave<T, kOutputs, 1>(args, plan, context);
  launch_wave<T, kOutputs, 2>(args, plan, context);
}

template <class T, size_t kIndex = 0>
void launch_width(const LinearArgs& args, const Plan& plan, const CudaContext& context) {
  if (plan.width == kWidths[kIndex]) {
    launch_rows<T, kWidths[kIndex]>(args, plan, context);
  } else if constexpr (kIndex + 1 < kWidths.size()) {
    launch_width<T, kIndex + 1>(args, plan, context);
  }
}

}  // namespace

bool runs_wave(const LinearArgs& args, const CudaContext& context) {
  const Packed& weight = *args.weight;
  const DType type = weight.format == WeightFormat::kF16 ? DType::kF16 : DType::kBF16;
  return context.major == 9 && weight.format != WeightFormat::kF32 && args.in.type == type &&
         args.live.bound <= kSomeRows && args.copies <= 1 && weight.inner % 8 == 0 &&
         args.in.stride % 8 == 0 && whole(weight.data) && whole(args.in.x);
}

void cuda_linear_wave(const LinearArgs& args, CudaContext& context) {
  const Plan plan = make_plan(args, context);
  if (args.weight->format == WeightFormat::kF16) {
    launch_width<__half>(args, plan, context);
  } else {
    launch_width<__nv_bfloat16>(args, plan, context);
  }
}

}  // namespace tensormill
