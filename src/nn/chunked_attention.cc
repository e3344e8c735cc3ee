// Scores as the reference masks them: a later token has no part; under a hash a token sees itself
// only where it sees nothing else, by a score far below all others. Where chunks wrap around, a key
// may be met twice and counts twice.

#include "nn/chunked_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/thread_team.h"
#include "kernels/cpu_stream.h"
#include "tensor/convert.h"
#include "tensor/host_values.h"

namespace tensormill {
namespace {

constexpr int64_t kPieces = 64;  // of the work, each with scratch of its own
constexpr int kLanes = 16;       // sums side by side
constexpr float kSelfScore = -1e5F;
constexpr float kNormEps = 1e-6F;

// Keys that one query may meet: a chunk and those before it, none longer than the sequence.
int64_t most_keys(const AttentionSpec& spec, int32_t rows) {
  return (int64_t{spec.chunk.before} + 1) * std::min(spec.chunk.length, rows);
}

int32_t rounds_of(const AttentionSpec& spec) {
  return spec.core == Core::kHashed ? spec.hash.rounds : 1;
}

struct Scratch {
  int64_t* order;   // [rounds, heads, rows]: bucket << 32 | place in the sequence, sorted
  float* keys;      // [heads, rows]: what a key is multiplied by
  float* partial;   // [rounds, rows, heads * value_dim]
  float* log_sum;   // [rounds, rows, heads]
  float* scores;    // [kPieces, most_keys]
  int32_t* places;  // [kPieces, most_keys]
  size_t bytes;
};

Scratch lay_out(const AttentionSpec& spec, int32_t rows, void* memory) {
  auto* base = static_cast<std::byte*>(memory);
  size_t used = 0;
  const auto take = [&](int64_t count, size_t size) -> void* {
    void* piece = base == nullptr ? nullptr : base + used;
    used += static_cast<size_t>(count) * size;
    used = (used + 63) / 64 * 64;
    return piece;
  };
  const int64_t rounds = rounds_of(spec), heads = spec.heads;
  Scratch s{};
  s.order = static_cast<int64_t*>(take(rounds * heads * rows, sizeof(int64_t)));
  s.keys = static_cast<float*>(take(heads * rows, sizeof(float)));
  s.partial = static_cast<float*>(take(rounds * rows * spec.out_inputs(), sizeof(float)));
  s.log_sum = static_cast<float*>(take(rounds * rows * heads, sizeof(float)));
  s.scores = static_cast<float*>(take(kPieces * most_keys(spec, rows), sizeof(float)));
  s.places = static_cast<int32_t*>(take(kPieces * most_keys(spec, rows), sizeof(int32_t)));
  s.bytes = used;
  return s;
}

float dot(const float* a, const float* b, int32_t count) {
  float sums[kLanes] = {};
  int32_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) sums[lane] += a[i + lane] * b[i + lane];
  }
  for (int lane = 0; i < count; ++i, ++lane) sums[lane] += a[i] * b[i];
  float total = 0;
  for (const float sum : sums) total += sum;
  return total;
}

void add_scaled(float* to, const float* from, float scale, int32_t count) {
  for (int32_t i = 0; i < count; ++i) to[i] += scale * from[i];
}

// One sequence of the batch and the chunks it is cut into.
struct Grid {
  int32_t first_row, tokens, padded;
  bool whole;  // one chunk holds it: no rounds
  int32_t chunks;
};

class ChunkedAttention {
 public:
  ChunkedAttention(const ChunkedAttentionArgs& args, Stream stream)
      : args_(args),
        spec_(*args.spec),
        batch_(*args.batch),
        team_(team_of(stream)),
        rows_(*args.batch->rows.count),
        scratch_(lay_out(spec_, rows_, args.scratch)) {}

  void run() {
    if (spec_.core == Core::kHashed) {
      split(int64_t{spec_.heads} * rows_, [&](int64_t, int64_t i) { scale_key(i); });
      const int64_t sorts = int64_t{*batch_.sequences.count} * spec_.heads * rounds_of(spec_);
      split(sorts, [&](int64_t, int64_t i) { sort(i); });
    }
    const int64_t queries = int64_t{rounds_of(spec_)} * spec_.heads * rows_;
    split(queries, [&](int64_t piece, int64_t i) { attend(piece, i); });
    split(rows_, [&](int64_t, int64_t row) { merge(row); });
  }

 private:
  // Calls f(piece, i) for i in [0, count), pieces side by side.
  template <class F>
  void split(int64_t count, F&& f) const {
    const auto pieces = [&](int64_t begin, int64_t end) {
      for (int64_t piece = begin; piece < end; ++piece) {
        const int64_t last = count * (piece + 1) / kPieces;
        for (int64_t i = count * piece / kPieces; i < last; ++i) f(piece, i);
      }
    };
    if (team_ == nullptr) return pieces(0, kPieces);
    team_->parallel(kPieces, 1, [&](int64_t begin, int64_t end) { pieces(begin, end); });
  }

  Grid grid(int32_t sequence) const {
    Grid g{};
    g.first_row = batch_.row_begin[sequence];
    g.tokens = batch_.row_begin[sequence + 1] - g.first_row;
    g.padded = padded_length(spec_.chunk, g.tokens);
    g.whole = g.padded <= spec_.chunk.length;
    g.chunks = g.whole ? 1 : g.padded / spec_.chunk.length * rounds_of(spec_);
    return g;
  }

  const float* query(int64_t row, int64_t head) const {
    return args_.qkv + row * spec_.qkv_rows() + head * spec_.dim;
  }
  const float* key(int64_t row, int64_t head) const {
    return query(row, head) + (spec_.core == Core::kHashed ? 0 : spec_.query_rows());
  }
  const float* value(int64_t row, int64_t head) const {
    return args_.qkv + row * spec_.qkv_rows() + spec_.query_rows() + spec_.key_rows() +
           head * spec_.values();
  }
  int64_t* order(int64_t round, int64_t head) const {
    return scratch_.order + (round * spec_.heads + head) * rows_;
  }

  // Keys of a hash have length sqrt(dim) before they are scaled.
  void scale_key(int64_t i) const {
    const float* q = query(i % rows_, i / rows_);
    const float square = dot(q, q, spec_.dim) / static_cast<float>(spec_.dim);
    scratch_.keys[i] = spec_.scale / std::sqrt(square + kNormEps);
  }

  // The order of one round of one head of one sequence.
  void sort(int64_t i) const {
    const auto sequence = static_cast<int32_t>(i % *batch_.sequences.count);
    const int64_t head = i / *batch_.sequences.count % spec_.heads;
    const int64_t round = i / *batch_.sequences.count / spec_.heads;
    const Grid g = grid(sequence);
    if (g.whole) return;
    const Rotations& rotations = args_.hashes->rotations(batch_.prompts[g.first_row]);
    const int64_t stride = int64_t{spec_.hash.rounds} * rotations.columns;
    const float* columns =
        rotations.values->data() + head * spec_.dim * stride + round * rotations.columns;
    int64_t* entries = order(round, head) + g.first_row;
    for (int32_t t = 0; t < g.tokens; ++t) {
      const float* q = query(g.first_row + t, head);
      int64_t bucket = 0, product = 1;
      const float* at = columns;
      for (const int32_t factor : rotations.factors) {
        bucket += product * nearest(q, at, stride, factor / 2);
        product *= factor;
        at += factor / 2;
      }
      entries[t] = bucket << 32 | t;
    }
    std::sort(entries, entries + g.tokens);
  }

  // Index of the first largest of the products with `count` directions, then with their opposites.
  int64_t nearest(const float* q, const float* directions, int64_t stride, int32_t count) const {
    constexpr float kNever = -std::numeric_limits<float>::infinity();
    float most = kNever, most_opposite = kNever;
    int64_t best = 0, best_opposite = 0;
    for (int32_t first = 0; first < count; first += kLanes) {
      float sums[kLanes] = {};
      const int32_t lanes = std::min(kLanes, count - first);
      for (int32_t d = 0; d < spec_.dim; ++d) {
        const float* at = directions + d * stride + first;
        for (int32_t lane = 0; lane < lanes; ++lane) sums[lane] += q[d] * at[lane];
      }
      for (int32_t lane = 0; lane < lanes; ++lane) {
        if (sums[lane] > most) {
          most = sums[lane];
          best = first + lane;
        }
        if (-sums[lane] > most_opposite) {
          most_opposite = -sums[lane];
          best_opposite = first + lane;
        }
      }
    }
    return most >= most_opposite ? best : count + best_opposite;
  }

  // One query of one round: entry i % rows_ of the order there.
  void attend(int64_t piece, int64_t i) const {
    const auto row = static_cast<int32_t>(i % rows_);
    const int64_t head = i / rows_ % spec_.heads;
    const auto round = static_cast<int32_t>(i / rows_ / spec_.heads);
    const Grid g = grid(batch_.row_sequence[row]);
    if (g.whole && round > 0) return;
    const int32_t entry = row - g.first_row;
    const int32_t own = place(g, round, head, entry);
    float* scores = scratch_.scores + piece * most_keys(spec_, rows_);
    int32_t* places = scratch_.places + piece * most_keys(spec_, rows_);
    const int64_t keys = find_keys(g, round, head, entry, own, places);

    const float* q = query(g.first_row + own, head);
    float most = -std::numeric_limits<float>::infinity();
    for (int64_t k = 0; k < keys; ++k) {
      scores[k] = score(q, g.first_row + places[k], head, places[k] == own);
      most = std::max(most, scores[k]);
    }
    float sum = 0;
    for (int64_t k = 0; k < keys; ++k) {
      scores[k] = std::exp(scores[k] - most);
      sum += scores[k];
    }
    // As the reference rounds it: with a score of -1e5 the last bits of the logarithm are lost.
    const float log_sum = most + std::log(sum);
    const float share = std::exp(most - log_sum);
    const int64_t at = int64_t{round} * rows_ + g.first_row + own;
    scratch_.log_sum[at * spec_.heads + head] = log_sum;
    float* out = scratch_.partial + at * spec_.out_inputs() + head * spec_.values();
    std::fill_n(out, spec_.values(), 0.0F);
    for (int64_t k = 0; k < keys; ++k) {
      add_scaled(out, value(g.first_row + places[k], head), scores[k] * share, spec_.values());
    }
  }

  // Place in the sequence of an entry of a round's order.
  int32_t place(const Grid& g, int32_t round, int64_t head, int32_t entry) const {
    if (g.whole || spec_.core != Core::kHashed) return entry;
    return static_cast<int32_t>(order(round, head)[g.first_row + entry] & 0x7FFFFFFF);
  }

  // Places of the tokens up to `own` in the query's chunk and those before it. The rounds follow
  // one another in one ring of chunks; a step of the whole ring or more leads to the chunk itself.
  int64_t find_keys(const Grid& g, int32_t round, int64_t head, int32_t entry, int32_t own,
                    int32_t* places) const {
    const int32_t length = g.whole ? g.tokens : spec_.chunk.length;
    const int32_t per_round = g.whole ? 1 : g.padded / length;
    const int32_t chunk = round * per_round + entry / length;
    int64_t count = 0;
    for (int32_t back = g.whole ? 0 : spec_.chunk.before; back >= 0; --back) {
      const int32_t from = back >= g.chunks ? chunk : (chunk - back + g.chunks) % g.chunks;
      const int32_t begin = from % per_round * length;
      const int32_t end = std::min(begin + length, g.tokens);
      for (int32_t e = begin; e < end; ++e) {
        const int32_t key = place(g, from / per_round, head, e);
        if (key <= own) places[count++] = key;
      }
    }
    return count;
  }

  float score(const float* q, int64_t row, int64_t head, bool itself) const {
    if (spec_.core != Core::kHashed) return dot(q, key(row, head), spec_.dim) * spec_.scale;
    if (itself) return kSelfScore;
    return dot(q, key(row, head), spec_.dim) * scratch_.keys[head * rows_ + row];
  }

  // The rounds of one row, each as far as its sum goes.
  void merge(int64_t row) const {
    float* out = scratch_.partial + row * spec_.out_inputs();
    const int32_t rounds = grid(batch_.row_sequence[row]).whole ? 1 : rounds_of(spec_);
    for (int32_t head = 0; head < spec_.heads && rounds > 1; ++head) {
      const auto log_sum = [&](int32_t round) {
        return scratch_.log_sum[(int64_t{round} * rows_ + row) * spec_.heads + head];
      };
      float most = log_sum(0), sum = 0;
      for (int32_t round = 1; round < rounds; ++round) most = std::max(most, log_sum(round));
      for (int32_t round = 0; round < rounds; ++round) sum += std::exp(log_sum(round) - most);
      const float total = most + std::log(sum);
      float* to = out + int64_t{head} * spec_.values();
      const float first = std::exp(log_sum(0) - total);
      for (int32_t d = 0; d < spec_.values(); ++d) to[d] *= first;
      for (int32_t round = 1; round < rounds; ++round) {
        add_scaled(to, to + int64_t{round} * rows_ * spec_.out_inputs(),
                   std::exp(log_sum(round) - total), spec_.values());
      }
    }
    auto* to = static_cast<std::byte*>(args_.out.x) +
               static_cast<size_t>(row * args_.out.stride) * dtype_size(args_.out.type);
    convert(out, DType::kF32, to, args_.out.type, spec_.out_inputs());
  }

  const ChunkedAttentionArgs& args_;
  const AttentionSpec& spec_;
  const RaggedBatch& batch_;
  ThreadTeam* team_;
  int32_t rows_;
  Scratch scratch_;
};

}  // namespace

void chunked_attention(const ChunkedAttentionArgs& args, Device& device, Stream stream) {
  if (device.on_host()) return ChunkedAttention(args, stream).run();
  const RaggedBatch& batch = *args.batch;
  const auto rows = static_cast<size_t>(batch.rows.bound);
  const auto sequences = static_cast<size_t>(batch.sequences.bound);
  const HostValues<int32_t> row_count(device, batch.rows.count, 1);
  const HostValues<int32_t> sequence_count(device, batch.sequences.count, 1);
  const HostValues<int32_t> row_begin(device, batch.row_begin, sequences + 1);
  const HostValues<int32_t> row_sequence(device, batch.row_sequence, rows);
  const HostValues<int32_t> prompts(device, batch.prompts, rows);
  const HostValues<float> qkv(device, args.qkv, rows * static_cast<size_t>(args.spec->qkv_rows()));
  RaggedBatch here = batch;
  here.rows.count = row_count.data();
  here.sequences.count = sequence_count.data();
  here.row_begin = row_begin.data();
  here.row_sequence = row_sequence.data();
  here.prompts = prompts.data();
  ChunkedAttentionArgs on_host = args;
  on_host.batch = &here;
  on_host.qkv = qkv.data();
  std::vector<std::byte> scratch(chunked_attention_scratch(*args.spec, batch.rows.bound) + 64);
  std::vector<std::byte> out(rows * static_cast<size_t>(args.out.stride) *
                             dtype_size(args.out.type));
  const auto base = (reinterpret_cast<uintptr_t>(scratch.data()) + 63) / 64 * 64;
  on_host.scratch = reinterpret_cast<void*>(base);
  on_host.out.x = out.data();
  ChunkedAttention(on_host, nullptr).run();
  device.upload(args.out.x, out.data(), out.size());
}

size_t chunked_attention_scratch(const AttentionSpec& spec, int32_t rows) {
  return lay_out(spec, rows, nullptr).bytes;
}

}  // namespace tensormill
