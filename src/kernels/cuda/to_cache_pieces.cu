// Queries, keys and values of one type, taken apart in pieces of 16 bytes. A thread turns the same
// place of several heads of a row, so that it reads the row's angles once and has all its pieces on
// their way at once.

#include "kernels/cuda/device/rows.cuh"
#include "kernels/cuda/entries.h"
#include "kernels/cuda/launch.cuh"

namespace tensormill {
namespace {

constexpr int kPiece = 8;  // values
constexpr int kThreads = 128;
constexpr int32_t kManyRows = 32;  // from so many on threads take kMost heads
constexpr int kMost = 3;

struct Floats {
  float x[kPiece];
};

__device__ __forceinline__ Floats load_floats(const float* from) {
  Floats floats;
  *reinterpret_cast<float4*>(floats.x) = reinterpret_cast<const float4*>(from)[0];
  *reinterpret_cast<float4*>(floats.x + 4) = reinterpret_cast<const float4*>(from)[1];
  return floats;
}

template <class T>
__device__ __forceinline__ Floats unpack(const uint4& bits) {
  const T* values = reinterpret_cast<const T*>(&bits);
  Floats floats;
#pragma unroll
  for (int i = 0; i < kPiece; ++i) floats.x[i] = to_float(values[i]);
  return floats;
}

template <class T>
__device__ __forceinline__ uint4 pack(const Floats& floats) {
  alignas(16) T values[kPiece];
#pragma unroll
  for (int i = 0; i < kPiece; ++i) values[i] = from_float<T>(floats.x[i]);
  return *reinterpret_cast<const uint4*>(values);
}

// Elements (i, i + dim / 2) of a head, a piece of each.
struct Pair {
  uint4 low, high;
};

// The same bits as one element at a time: see device/take_head.cuh.
template <class T>
__device__ __forceinline__ void turn(Pair& pair, const Floats& cosine, const Floats& sine) {
  Floats low = unpack<T>(pair.low), high = unpack<T>(pair.high);
#pragma unroll
  for (int i = 0; i < kPiece; ++i) {
    const float a = low.x[i], b = high.x[i];
    low.x[i] = fmaf(a, cosine.x[i], __fmul_rn(-b, sine.x[i]));
    high.x[i] = fmaf(b, cosine.x[i], __fmul_rn(a, sine.x[i]));
  }
  pair = {pack<T>(low), pack<T>(high)};
}

// Where keys and values of a row's head 0 go.
struct Places {
  int64_t key, value;
};

__device__ __forceinline__ Places places_of(const ToCacheArgs& args, int64_t row) {
  const KvView& kv = args.kv;
  const int32_t slot = args.slots[row];
  const int64_t table = static_cast<int64_t>(args.row_sequence[row]) * kv.table_stride;
  const int64_t block = kv.table[table + slot / kBlockTokens];
  const int64_t token = static_cast<int64_t>(slot % kBlockTokens) * args.dim;
  return {block * kv.k_stride.block + token, block * kv.v_stride.block + token};
}

template <class T>
__device__ __forceinline__ T* goal_of(const ToCacheArgs& args, int64_t row, const Places& places,
                                      int head) {
  if (head < args.heads) {
    return static_cast<T*>(args.q.x) + row * args.q.stride + static_cast<int64_t>(head) * args.dim;
  }
  head -= args.heads;
  const KvView& kv = args.kv;
  if (head < args.kv_heads) return static_cast<T*>(kv.k) + places.key + head * kv.k_stride.head;
  return static_cast<T*>(kv.v) + places.value + (head - args.kv_heads) * kv.v_stride.head;
}

// The grid: rows, then groups of heads. A block has `together` heads at a time, kHeads times.
template <class T, int kHeads>
__global__ void __launch_bounds__(kThreads)
    take_pieces(const __grid_constant__ ToCacheArgs args, int pieces, int together) {
  release_next();
  const int64_t row = blockIdx.x;
  const int half = args.dim / 2, heads = args.heads + 2 * args.kv_heads;
  const int lane = static_cast<int>(threadIdx.x) / pieces;
  const int at = (static_cast<int>(threadIdx.x) - lane * pieces) * kPiece;
  const int first = static_cast<int>(blockIdx.y) * together * kHeads + lane;
  const bool works = lane < together;
  const auto inside = [&](int h) { return works && first + h * together < heads; };
  wait_for_previous();
  const T* from = static_cast<const T*>(args.qkv.x) + row * args.qkv.stride + at;
  Pair pairs[kHeads];
#pragma unroll
  for (int h = 0; h < kHeads; ++h) {
    if (!inside(h)) continue;
    const T* head = from + static_cast<int64_t>(first + h * together) * args.dim;
    pairs[h] = {*reinterpret_cast<const uint4*>(head),
                *reinterpret_cast<const uint4*>(head + half)};
  }
  const bool turns = args.cos_sin != nullptr && works;
  Floats cosine, sine;
  if (turns) {
    const float* angles = args.cos_sin + row * args.dim + at;
    cosine = load_floats(angles);
    sine = load_floats(angles + half);
  }
  if (row >= *args.live.count || !works) return;
  const Places places = places_of(args, row);
#pragma unroll
  for (int h = 0; h < kHeads; ++h) {
    if (!inside(h)) continue;
    const int head = first + h * together;
    if (turns && head < args.heads + args.kv_heads) turn<T>(pairs[h], cosine, sine);
    T* to = goal_of<T>(args, row, places, head) + at;
    *reinterpret_cast<uint4*>(to) = pairs[h].low;
    *reinterpret_cast<uint4*>(to + half) = pairs[h].high;
  }
}

template <class T>
void launch_pieces(const ToCacheArgs& args, const CudaContext& context) {
  const int pieces = args.dim / (2 * kPiece), together = kThreads / pieces;
  const int heads = args.heads + 2 * args.kv_heads;
  const bool many = args.live.bound >= kManyRows;
  const int span = together * (many ? kMost : 1);
  const dim3 grid(static_cast<uint32_t>(args.live.bound),
                  static_cast<uint32_t>((heads + span - 1) / span));
  launch(context, many ? take_pieces<T, kMost> : take_pieces<T, 1>, grid, kThreads, 0, args, pieces,
         together);
}

bool whole(const void* x, int64_t stride) {
  return aligned(x, 16) && stride % kPiece == 0;
}

}  // namespace

bool runs_pieces(const ToCacheArgs& args) {
  const DType type = args.qkv.type;
  const KvView& kv = args.kv;
  const bool plain = args.clip == 0 && args.log_n == 0 && args.q_norm.kind == NormKind::kNone &&
                     args.k_norm.kind == NormKind::kNone;
  const bool rope =
      args.cos_sin == nullptr || (!args.neighbours && args.rope_axes == 1 &&
                                  args.rope_dim == args.dim && aligned(args.cos_sin, 16));
  return type != DType::kF32 && args.q.type == type && kv.type == type && plain && rope &&
         args.dim % (2 * kPiece) == 0 && args.dim / (2 * kPiece) <= kThreads &&
         args.value_dim == args.dim && whole(args.qkv.x, args.qkv.stride) &&
         whole(args.q.x, args.q.stride) && whole(kv.k, kv.k_stride.block | kv.k_stride.head) &&
         whole(kv.v, kv.v_stride.block | kv.v_stride.head);
}

void cuda_to_cache_pieces(const ToCacheArgs& args, CudaContext& context) {
  if (args.qkv.type == DType::kBF16) {
    launch_pieces<__nv_bfloat16>(args, context);
  } else {
    launch_pieces<__half>(args, context);
  }
}

}  // namespace tensormill
