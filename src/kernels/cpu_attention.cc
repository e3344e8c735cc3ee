#include <algorithm>

#include "kernels/cpu_kernels.h"

namespace tensormill {
namespace {

// Up to so many query rows a step may be split along their keys, with partial results in scratch.
constexpr int32_t kSplitRows = 8;
// Pieces a thread that balance well enough without such a split.
constexpr int32_t kPiecesPerThread = 4;

int32_t chunks_of(int32_t keys) {
  return (keys + kAttentionChunk - 1) / kAttentionChunk;
}

size_t align(size_t bytes) {
  return (bytes + 63) / 64 * 64;
}

// The list of tiles: sequence s has tiles first[s] .. first[s + 1] for each kv head.
struct Plan {
  const AttentionArgs& args;
  int32_t* first;
  int32_t group, sequences, tiles, max_chunks;

  int32_t pieces() const { return tiles * args.kv_heads; }

  AttentionItem item(int32_t piece) const {
    const int32_t tile = piece / args.kv_heads;
    const auto s =
        static_cast<int32_t>(std::upper_bound(first, first + sequences + 1, tile) - first) - 1;
    const int32_t pairs = (args.row_begin[s + 1] - args.row_begin[s]) * group;
    const int32_t parts = first[s + 1] - first[s], part = tile - first[s];
    return {s,
            piece % args.kv_heads,
            static_cast<int32_t>(int64_t{pairs} * part / parts),
            static_cast<int32_t>(int64_t{pairs} * (part + 1) / parts),
            0,
            chunks_of(args.keys[s]),
            nullptr,
            max_chunks};
  }
};

Plan make_plan(const AttentionArgs& args) {
  Plan plan{args,
            static_cast<int32_t*>(args.scratch),
            args.heads / args.kv_heads,
            *args.sequences.count,
            0,
            0};
  for (int32_t s = 0; s < plan.sequences; ++s) {
    const int32_t pairs = (args.row_begin[s + 1] - args.row_begin[s]) * plan.group;
    plan.first[s] = plan.tiles;
    plan.tiles += (pairs + kAttentionTile - 1) / kAttentionTile;
    plan.max_chunks = std::max(plan.max_chunks, chunks_of(args.keys[s]));
  }
  plan.first[plan.sequences] = plan.tiles;
  return plan;
}

}  // namespace

size_t cpu_attention_scratch(int32_t rows, int32_t heads, int32_t value_dim, int32_t max_keys) {
  const size_t partials = static_cast<size_t>(std::min(rows, kSplitRows)) * heads *
                          static_cast<size_t>(chunks_of(max_keys));
  return align(sizeof(int32_t) * (static_cast<size_t>(rows) + 1)) +
         partials * sizeof(float) * static_cast<size_t>(value_dim + 2);
}

void cpu_attention(const CpuLevel& level, const AttentionArgs& args, Stream stream) {
  const Plan plan = make_plan(args);
  const int32_t pieces = plan.pieces(), threads = threads_of(stream);
  const bool split = threads > 1 && *args.rows.count <= kSplitRows && plan.max_chunks > 1 &&
                     pieces < kPiecesPerThread * threads;
  if (!split) {
    return take_turns(stream, pieces, [&](int32_t i) { level.attention(args, plan.item(i)); });
  }
  auto* partial =
      reinterpret_cast<float*>(static_cast<char*>(args.scratch) +
                               align(sizeof(int32_t) * (static_cast<size_t>(args.rows.bound) + 1)));
  take_turns(stream, pieces * plan.max_chunks, [&](int32_t i) {
    AttentionItem item = plan.item(i / plan.max_chunks);
    const int32_t chunk = i % plan.max_chunks;
    if (chunk >= item.chunk_end) return;
    item.chunk_begin = chunk;
    item.chunk_end = chunk + 1;
    item.partial = partial;
    level.attention(args, item);
  });
  take_turns(stream, pieces, [&](int32_t i) {
    AttentionItem item = plan.item(i);
    item.partial = partial;
    level.attention_merge(args, item);
  });
}

}  // namespace tensormill
