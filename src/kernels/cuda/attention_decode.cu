// Attention of sequences with one query row. A block takes up to kHeads query heads of one kv head
// and a share of the keys; its warps walk tiles of kTile keys. Keys and values go from memory into
// the registers of tensor cores as they lie: the left factor is the tile, the right one the heads'
// queries or weights. That leaves the order of the inner dimension open, so that a lane's operands
// are 16 contiguous bytes. Loads run one or two chunks of a tile ahead.
//
// The shares of a sequence are fixed by its keys and the grid. A lone share writes the output;
// otherwise each writes a partial result and the last block to arrive merges them in order.

#include <algorithm>

#include "kernels/cuda/device/decode_merge.cuh"
#include "kernels/cuda/device/decode_walk.cuh"
#include "kernels/cuda/entries.h"
#include "kernels/cuda/launch.cuh"

namespace tensormill {
namespace {

using namespace decode;

template <class S>
__global__ void __maxnreg__(S::registers) decode_kernel(const __grid_constant__ DecodeArgs decode) {
  extern __shared__ uint4 memory[];
  release_next();
  const AttentionArgs& args = decode.attention;
  Work work;
  find_heads(decode, work);
  const auto place = find_lane<S>(args, work, threadIdx.x % 32);
  const Fresh<S> fresh{memory + S::key_pieces * 32};
  auto* parts = reinterpret_cast<float*>(fresh.key + Fresh<S>::kPieces);
  const FreshRoom<S> room{parts, work.heads + 2};
  if (decode.stores) fetch_weights(decode, work, room);
  __pipeline_commit();
  if (!decode.early) wait_for_previous();
  __shared__ int32_t early[kEarlyIds];
  if (!find_share(decode, early, work)) {
    __pipeline_wait_prior(0);
    // One block that waits keeps the grid's place in the order.
    if (blockIdx.x == 0) wait_for_previous();
    return;
  }
  Result<S> result{{-INFINITY, -INFINITY}, {}, {}};
  walk<S>(decode, work, place, room, memory, fresh, result);
  leave<S>(args, work, result, parts);
  __syncthreads();
  merge(decode, work, parts);
}

constexpr int kMaxGrid = 65535;  // along z

struct Plan {
  int warps, splits;
  int together;  // blocks that share a multiprocessor; 0: as many as fit
};

// Few pieces of work: one large block for each multiprocessor. More: small blocks that share one,
// in numbers that give all multiprocessors about as much.
template <class S>
Plan make_plan(const AttentionArgs& args, const CudaContext& context, int items) {
  constexpr int kLeastTogether = 2, kSomeTogether = 3, kMostTogether = 6;
  const int processors = context.multiprocessors;
  const int most =
      std::clamp(args.kv.table_stride * kBlockTokens / (kLeastTiles * kTile), 1, kMaxShares);
  const int splits = processors / items;
  if (items * splits * 8 >= processors * 7) return {S::warps, std::min(splits, most), 0};
  const auto rounds_of = [&](int blocks) { return (blocks + processors - 1) / processors; };
  const auto small = [&](int s) {
    const int rounds = rounds_of(items * s);
    const int warps = rounds <= kSomeTogether ? S::some_warps : S::few_warps;
    return Plan{warps, s, rounds <= kMostTogether ? rounds : 0};
  };
  for (int s = 1; s <= most && items * s <= kMaxBlocks; ++s) {
    const int blocks = items * s, rounds = rounds_of(blocks);
    if (rounds >= kLeastTogether && blocks * 8 >= rounds * processors * 7) return small(s);
  }
  return items <= processors ? Plan{S::warps, 1, 0} : small(1);
}

// Blocks that come before the kernel before has ended land where that leaves room, several on one
// multiprocessor and none on another. So they ask for so much shared memory that no more than
// `together` fit.
size_t shared_for(size_t needed, int together, const CudaContext& context) {
  constexpr size_t kOfBlock = 1 << 10;  // that a block has besides
  if (together == 0) return needed;
  const size_t all = context.max_shared + kOfBlock, blocks = static_cast<size_t>(together);
  // Not all of it: what the L1 cache keeps is worth something.
  return std::max({needed, all / (blocks + 1), all * 4 / 5 / blocks - kOfBlock});
}

template <class S>
void launch_decode(const AttentionArgs& args, CudaContext& context) {
  const int group = args.heads / args.kv_heads, groups = (group + kHeads - 1) / kHeads;
  const int rows = args.kv_heads * groups, items = args.sequences.bound * rows;
  const Plan plan = make_plan<S>(args, context, items);
  const int values = std::min(group, kHeads) * args.value_dim;
  const bool stores = args.store != nullptr;
  const ToCacheArgs store = stores ? *args.store : ToCacheArgs{};
  const int turning = store.rope_axes * store.rope_dim;
  const int floats = std::max(plan.warps * (values + 2 * kHeads),
                              stores ? FreshRoom<S>::floats(std::min(group, kHeads), turning) : 0);
  const size_t needed =
      (S::key_pieces * 32 + Fresh<S>::kPieces) * sizeof(uint4) + sizeof(float) * floats;
  const size_t shared = shared_for(needed, plan.together, context);
  constexpr size_t kFreeShared = 48 << 10;
  if (shared > kFreeShared) allow_shared(decode_kernel<S>, shared);
  const DecodeArgs decode{args,
                          stores,
                          stores && args.score.prefix == nullptr,
                          store,
                          static_cast<float*>(args.scratch),
                          context.counters,
                          values / 2 * 3,
                          group,
                          Divisor(groups),
                          Divisor(plan.splits)};
  launch(context, decode_kernel<S>, dim3(plan.splits, rows, args.sequences.bound),
         dim3(plan.warps * 32), shared, decode);
}

// Calls f with the shape for the arguments; false where there is none.
template <class T, class F>
bool with_shape(const AttentionArgs& args, F&& f) {
  const auto fits = [&](auto shape) { return shape.fits(args) && (f(shape), true); };
  return fits(Shape<T, 64, 64, true>()) || fits(Shape<T, 128, 128, true>()) ||
         fits(Shape<T, 192, 128, true>()) || fits(Shape<T, 256, 256, true>()) ||
         fits(Shape<T, 576, 512, true>()) || fits(Shape<T, 64, 64, false>()) ||
         fits(Shape<T, 128, 128, false>()) || fits(Shape<T, 256, 256, false>());
}

bool whole_pieces(const void* data, int64_t stride) {
  return reinterpret_cast<uintptr_t>(data) % 16 == 0 && stride % 8 == 0;
}

}  // namespace

bool runs_decode(const AttentionArgs& args, const CudaContext& context) {
  const KvView& kv = args.kv;
  return context.major >= 8 && args.q.type == kv.type &&
         (kv.type == DType::kBF16 || kv.type == DType::kF16) && args.dim % 8 == 0 &&
         args.value_dim % 8 == 0 && whole_pieces(args.q.x, args.q.stride) &&
         whole_pieces(kv.k, kv.k_stride.block | kv.k_stride.head) &&
         whole_pieces(kv.v, kv.v_stride.block | kv.v_stride.head) &&
         args.sequences.bound <= kMaxGrid && with_shape<__half>(args, [](auto) {});
}

bool decode_stores(const ToCacheArgs& store) {
  const bool norms = store.q_norm.kind != NormKind::kNone || store.k_norm.kind != NormKind::kNone;
  return in_fours(store) && store.log_n == 0 &&
         !(norms && store.norm_span == HeadNorm::kAllHeads) &&
         (store.qkv.type == DType::kF32 || store.qkv.type == store.kv.type);
}

void cuda_attention_decode(const AttentionArgs& args, CudaContext& context) {
  const auto start = [&](auto shape) { launch_decode<decltype(shape)>(args, context); };
  if (args.kv.type == DType::kF16) {
    with_shape<__half>(args, start);
  } else {
    with_shape<__nv_bfloat16>(args, start);
  }
}

size_t decode_scratch(int32_t rows, int32_t heads, int32_t value_dim, int32_t) {
  const int64_t items = std::min<int64_t>(kMaxBlocks, int64_t{rows} * heads * kMaxShares);
  return sizeof(float) * static_cast<size_t>(items) * kHeads * value_dim / 2 * 3;
}

}  // namespace tensormill
