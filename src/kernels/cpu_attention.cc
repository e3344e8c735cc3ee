#include <algorithm>

#include "kernels/cpu_kernels.h"

namespace tensormill {
namespace {

// Up to so many query rows a step may be split along their keys, with partial results in scratch.
constexpr int32_t kSplitRows = 8;
// Pieces a thread that balance well enough without such a split.
constexpr int32_t kPiecesPerThread = 4;
// Pieces a thread where keys are split.
constexpr int32_t kPartsPerThread = 8;
// A tile isn't made smaller than this for more pieces.
constexpr int32_t kLeastTile = 24;

int32_t chunks_of(int32_t keys) {
  return keys / kAttentionChunk + (keys % kAttentionChunk != 0 ? 1 : 0);
}

size_t align(size_t bytes) {
  return (bytes + 63) / 64 * 64;
}

// The list of tiles: sequence s has tiles first[s] .. first[s + 1] of each kv head, those of one
// head together, so that its keys and values stay in the cache of the CPU.
struct Plan {
  const AttentionArgs& args;
  int32_t* first;
  int32_t group, sequences, tile, tiles, max_chunks;

  int32_t pieces() const { return tiles * args.kv_heads; }

  AttentionItem item(int32_t piece) const {
    const auto s =
        static_cast<int32_t>(std::upper_bound(first, first + sequences + 1, piece / args.kv_heads) -
                             first) -
        1;
    const int32_t pairs = (args.row_begin[s + 1] - args.row_begin[s]) * group;
    const int32_t parts = first[s + 1] - first[s], own = piece - first[s] * args.kv_heads;
    const int32_t begin = own % parts * tile;
    return {s,       own / parts, begin, std::min(begin + tile, pairs), 0, chunks_of(args.keys[s]),
            nullptr, max_chunks};
  }
};

// Tiles of the largest size that leaves each thread some.
Plan make_plan(const AttentionArgs& args, int32_t threads) {
  Plan plan{args,
            static_cast<int32_t*>(args.scratch),
            args.heads / args.kv_heads,
            *args.sequences.count,
            kAttentionTile,
            0,
            0};
  for (;; plan.tile /= 2) {
    plan.tiles = 0;
    for (int32_t s = 0; s < plan.sequences; ++s) {
      const int32_t pairs = (args.row_begin[s + 1] - args.row_begin[s]) * plan.group;
      plan.first[s] = plan.tiles;
      plan.tiles += (pairs + plan.tile - 1) / plan.tile;
      plan.max_chunks = std::max(plan.max_chunks, chunks_of(args.keys[s]));
    }
    plan.first[plan.sequences] = plan.tiles;
    if (plan.tile <= kLeastTile || plan.pieces() >= kPiecesPerThread * threads) return plan;
  }
}

}  // namespace

size_t cpu_attention_scratch(int32_t rows, int32_t heads, int32_t value_dim, int32_t max_keys) {
  const size_t partials = static_cast<size_t>(std::min(rows, kSplitRows)) * heads *
                          static_cast<size_t>(chunks_of(max_keys));
  return align(sizeof(int32_t) * (static_cast<size_t>(rows) + 1)) +
         partials * sizeof(float) * static_cast<size_t>(value_dim + 2);
}

void cpu_attention(const CpuLevel& level, const AttentionArgs& args, Stream stream) {
  const int32_t threads = threads_of(stream);
  const Plan plan = make_plan(args, threads);
  const int32_t pieces = plan.pieces();
  const bool split = threads > 1 && *args.rows.count <= kSplitRows && plan.max_chunks > 1 &&
                     pieces < kPiecesPerThread * threads;
  if (!split) {
    return take_turns(stream, pieces, [&](int32_t i) { level.attention(args, plan.item(i)); });
  }
  auto* partial =
      reinterpret_cast<float*>(static_cast<char*>(args.scratch) +
                               align(sizeof(int32_t) * (static_cast<size_t>(args.rows.bound) + 1)));
  // Runs of chunks, so that a thread can fetch the next one while it computes.
  const int32_t parts = std::min(plan.max_chunks, (kPartsPerThread * threads - 1) / pieces + 1);
  take_turns(stream, pieces * parts, [&](int32_t i) {
    AttentionItem item = plan.item(i / parts);
    const int32_t chunks = item.chunk_end, part = i % parts;
    item.chunk_begin = chunks * part / parts;
    item.chunk_end = chunks * (part + 1) / parts;
    item.partial = partial;
    if (item.chunk_begin < item.chunk_end) level.attention(args, item);
  });
  take_turns(stream, pieces, [&](int32_t i) {
    AttentionItem item = plan.item(i);
    item.partial = partial;
    level.attention_merge(args, item);
  });
}

}  // namespace tensormill
