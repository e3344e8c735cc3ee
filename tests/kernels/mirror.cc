#include "mirror.h"

#include <algorithm>

#include "copies.h"

namespace tensormill::testing {
namespace {

size_t packed_bytes(const Copies& copies, const Packed& weight) {
  return copies.kernels().packed_bytes(weight.format, weight.outputs, weight.inner);
}

void weights(Copies& copies, Packed& weight, int32_t count) {
  const auto* bytes = static_cast<const uint8_t*>(weight.data);
  copies.in(bytes, static_cast<int64_t>(packed_bytes(copies, weight)) * count);
  weight.data = bytes;
}

void norm(Copies& copies, Norm& norm, int64_t width) {
  if (norm.kind == NormKind::kNone) return;
  copies.in(norm.weight, width);
  copies.in(norm.shift, width);
}

int32_t most(const int32_t* values, int64_t count) {
  return *std::max_element(values, values + count);
}

void table_rows(Copies& copies, const void*& table, DType type, int64_t rows, int64_t width) {
  const auto* bytes = static_cast<const uint8_t*>(table);
  copies.in(bytes, rows * width * static_cast<int64_t>(dtype_size(type)));
  table = bytes;
}

void embed(EmbedArgs args, Copies& copies) {
  const int32_t rows = *args.live.count;
  int32_t last = 0, sequences = 0;
  for (int32_t row = 0; row < rows; ++row) {
    int32_t token = args.tokens[row];
    if (token < 0) {
      sequences = std::max(sequences, ~token + 1);
      token = args.history[~token * args.history_stride + args.slots[row]];
    }
    last = std::max(last, token);
  }
  copies.in(args.history, sequences * args.history_stride);
  copies.in_rows(args.slots, rows);
  table_rows(copies, args.table, args.type, last + 1, args.width);
  for (int axis = 0; axis < 2; ++axis) {
    if (args.position_table[axis] == nullptr) continue;
    const int32_t position = most(args.positions[axis], rows) + args.position_offset;
    table_rows(copies, args.position_table[axis], args.type, position + 1, args.width);
    copies.in_rows(args.positions[axis], rows);
  }
  copies.in_rows(args.tokens, rows);
  copies.out_rows(args.residual, rows, args.width);
  copies.live(args.live);
  copies.run([&] { copies.kernels().embed(args, copies.stream()); });
}

ResidualArgs residual_copy(ResidualArgs args, Copies& copies) {
  const int32_t rows = *args.live.count;
  const int32_t from = args.take == nullptr ? rows : most(args.take, rows) + 1;
  for (int32_t p = 0; p < args.partials; ++p) copies.in_rows(args.partial[p], from, args.width);
  copies.in(args.bias, args.width);
  norm(copies, args.out, args.width);
  norm(copies, args.in, args.width);
  copies.out_rows(args.residual, from, args.width);
  copies.in_rows(args.take, rows);
  copies.out(args.y, rows, args.width);
  copies.live(args.live);
  return args;
}

void residual(const ResidualArgs& args, Copies& copies) {
  const ResidualArgs copy = residual_copy(args, copies);
  copies.run([&] { copies.kernels().residual(copy, copies.stream()); });
}

LinearArgs linear_copy(LinearArgs args, Packed& weight, Copies& copies) {
  const int32_t rows = *args.live.count, count = std::max(args.copies, 1);
  weight = *args.weight;
  const int32_t outputs = args.gated ? weight.outputs / 2 : weight.outputs;
  weights(copies, weight, count);
  args.weight = &weight;
  copies.in(args.bias, weight.outputs);
  copies.in_rows(args.addend, rows, weight.outputs);
  copies.in(args.in, rows, (count - 1) * args.in_step + weight.inner);
  copies.out(args.out, rows, (count - 1) * args.out_step + outputs);
  copies.live(args.live);
  return args;
}

void linear(const LinearArgs& args, Copies& copies) {
  Packed weight;
  const LinearArgs copy = linear_copy(args, weight, copies);
  copies.run([&] { copies.kernels().linear(copy, copies.stream()); });
}

void norm_linear(const ResidualArgs& norm, const LinearArgs* products, int32_t n, Copies& copies) {
  const ResidualArgs first = residual_copy(norm, copies);
  std::vector<Packed> weight(static_cast<size_t>(n));
  std::vector<LinearArgs> all;
  for (size_t i = 0; i < weight.size(); ++i) {
    all.push_back(linear_copy(products[i], weight[i], copies));
  }
  copies.run([&] { copies.kernels().norm_linear(first, all.data(), n, copies.stream()); });
}

void rope(RopeArgs args, Copies& copies) {
  const int32_t rows = *args.live.count;
  for (int32_t axis = 0; axis < args.axes; ++axis) copies.in_rows(args.positions[axis], rows);
  copies.in_rows(args.slots, rows);
  copies.in_rows(args.prompts, rows);
  copies.in(args.inv_freq, args.dim / 2);
  copies.in(args.long_inv_freq, args.dim / 2);
  copies.out_rows(args.cos_sin, rows, args.axes * args.dim);
  copies.live(args.live);
  copies.run([&] { copies.kernels().rope(args, copies.stream()); });
}

// What `heads` heads of `blocks` blocks span, in bytes.
int64_t cache_bytes(const KvView& kv, KvStrides stride, int32_t blocks, int32_t heads,
                    int32_t dim) {
  const int64_t values =
      (blocks - 1) * stride.block + (heads - 1) * stride.head + int64_t{kBlockTokens} * dim;
  return values * static_cast<int64_t>(dtype_size(kv.type));
}

void cache(Copies& copies, KvView& kv, int32_t blocks, int32_t heads, int32_t dim,
           int32_t value_dim, int32_t sequences, bool written) {
  auto *k = static_cast<uint8_t*>(kv.k), *v = static_cast<uint8_t*>(kv.v);
  const int64_t k_bytes = cache_bytes(kv, kv.k_stride, blocks, heads, dim);
  const int64_t v_bytes = cache_bytes(kv, kv.v_stride, blocks, heads, value_dim);
  written ? copies.out(k, k_bytes) : copies.in(k, k_bytes);
  written ? copies.out(v, v_bytes) : copies.in(v, v_bytes);
  kv.k = k;
  kv.v = v;
  copies.in_rows(kv.table, sequences, kv.table_stride);
}

// All but the queries and the cache.
void taken_apart(Copies& copies, ToCacheArgs& args) {
  const int32_t rows = *args.live.count;
  const bool one = args.norm_span == HeadNorm::kHead;
  norm(copies, args.q_norm, one ? args.dim : args.heads * args.dim);
  norm(copies, args.k_norm, one ? args.dim : args.kv_heads * args.dim);
  copies.in(args.qkv, rows, args.qkv.stride);
  copies.in_rows(args.cos_sin, rows, args.rope_axes * args.rope_dim);
  copies.in_rows(args.row_sequence, rows);
  copies.in_rows(args.slots, rows);
  copies.live(args.live);
}

void to_cache(ToCacheArgs args, Copies& copies) {
  const int32_t rows = *args.live.count;
  int32_t blocks = 0, sequences = 0;
  for (int32_t row = 0; row < rows; ++row) {
    const int32_t sequence = args.row_sequence[row], slot = args.slots[row];
    const int32_t block = args.kv.table[sequence * args.kv.table_stride + slot / kBlockTokens];
    blocks = std::max(blocks, block + 1);
    sequences = std::max(sequences, sequence + 1);
  }
  taken_apart(copies, args);
  copies.out(args.q, rows, args.heads * args.dim);
  cache(copies, args.kv, blocks, args.kv_heads, args.dim, args.value_dim, sequences, true);
  copies.run([&] { copies.kernels().to_cache(args, copies.stream()); });
}

void attention(AttentionArgs args, Copies& copies) {
  const int32_t rows = *args.rows.count, sequences = *args.sequences.count;
  int32_t blocks = 0;
  for (int32_t s = 0; s < sequences; ++s) {
    const int32_t* table = args.kv.table + int64_t{s} * args.kv.table_stride;
    const int32_t used = (args.keys[s] + kBlockTokens - 1) / kBlockTokens;
    blocks = std::max(blocks, most(table, used) + 1);
  }
  const int32_t keys = most(args.keys, sequences);
  args.scratch = copies.scratch(copies.kernels().attention_scratch(
      args.rows.bound + copies.spare(), args.heads, args.value_dim, keys));
  const bool stores = args.store != nullptr;
  const int32_t width = args.heads * args.dim;
  stores ? copies.out(args.q, rows, width) : copies.in(args.q, rows, width);
  copies.in_rows(args.row_begin, sequences + 1);
  copies.in_rows(args.keys, sequences);
  cache(copies, args.kv, blocks, args.kv_heads, args.dim, args.value_dim, sequences, stores);
  copies.in(args.score.slopes, args.heads);
  copies.in_rows(args.score.prefix, sequences);
  copies.out(args.out, rows, args.heads * args.value_dim);
  copies.live(args.sequences);
  copies.live(args.rows);
  ToCacheArgs store{};
  if (stores) {
    store = *args.store;
    taken_apart(copies, store);
    store.q = args.q;
    store.kv = args.kv;
    args.store = &store;
  }
  copies.run([&] { copies.kernels().attention(args, copies.stream()); });
}

void route(RouteArgs args, Copies& copies) {
  const int32_t rows = *args.live.count;
  copies.in_rows(args.logits, rows, args.experts);
  copies.in(args.bias, args.experts);
  copies.out_rows(args.routes.expert, rows, args.active);
  copies.out_rows(args.routes.weight, rows, args.active);
  copies.out_rows(args.routes.place, rows, args.active);
  copies.out_rows(args.routes.row, rows, args.active);
  copies.out(args.routes.begin, args.experts + 1);
  copies.live(args.live);
  copies.run([&] { copies.kernels().route(args, copies.stream()); });
}

void experts(ExpertsArgs args, Copies& copies) {
  const int32_t rows = *args.live.count;
  const int64_t places = int64_t{rows + copies.spare()} * args.active;
  const auto of_places = [&](Rows& scratch) {
    scratch.x =
        copies.scratch(static_cast<size_t>(places * scratch.stride) * dtype_size(scratch.type));
  };
  of_places(args.taken);
  of_places(args.inner);
  const int32_t width = args.second.outputs;
  args.value =
      static_cast<float*>(copies.scratch(static_cast<size_t>(places * width) * sizeof(float)));
  copies.in(args.in, rows, args.first.inner);
  weights(copies, args.first, args.experts);
  weights(copies, args.second, args.experts);
  copies.in_rows(args.routes.expert, rows, args.active);
  copies.in_rows(args.routes.weight, rows, args.active);
  copies.in_rows(args.routes.place, rows, args.active);
  copies.in_rows(args.routes.row, rows, args.active);
  copies.in(args.routes.begin, args.experts + 1);
  copies.in_rows(args.addend, rows, width);
  copies.out_rows(args.out, rows, width);
  copies.live(args.live);
  copies.run([&] { copies.kernels().experts(args, copies.stream()); });
}

void sample(SampleArgs args, Copies& copies) {
  const int32_t rows = *args.live.count;
  int32_t slots = 0;
  for (int32_t row = 0; row < rows; ++row) slots = std::max(slots, args.rows[row].slot + 1);
  args.scratch = copies.scratch(
      copies.kernels().sample_scratch(args.live.bound + copies.spare(), args.vocabulary));
  copies.in_rows(args.logits, rows, args.vocabulary);
  copies.in_rows(args.rows, rows);
  copies.out(args.history, slots * args.history_stride);
  copies.out_rows(args.results, rows);
  copies.live(args.live);
  copies.run([&] { copies.kernels().sample(args, copies.stream()); });
}

// The source stays where it is: packing reads the host's memory.
void pack(PackArgs args, Copies& copies) {
  const size_t bytes = copies.kernels().packed_bytes(args.format, args.outputs, args.inner);
  auto* packed = static_cast<uint8_t*>(args.packed);
  copies.out(packed, static_cast<int64_t>(bytes));
  args.packed = packed;
  copies.run([&] { copies.kernels().pack(args, copies.stream()); }, false);
}

template <auto function, int32_t spare, class... Args>
void entry(Args... args, Stream) {
  Copies copies(spare);
  function(args..., copies);
}

template <int32_t spare>
KernelTable make_table(const char* name) {
  KernelTable table = gpu()->kernels();
  table.name = name;
  table.embed = entry<embed, spare, const EmbedArgs&>;
  table.residual = entry<residual, spare, const ResidualArgs&>;
  table.linear = entry<linear, spare, const LinearArgs&>;
  table.norm_linear = entry<norm_linear, spare, const ResidualArgs&, const LinearArgs*, int32_t>;
  table.rope = entry<rope, spare, const RopeArgs&>;
  table.to_cache = entry<to_cache, spare, const ToCacheArgs&>;
  table.attention = entry<attention, spare, const AttentionArgs&>;
  table.route = entry<route, spare, const RouteArgs&>;
  table.experts = entry<experts, spare, const ExpertsArgs&>;
  table.sample = entry<sample, spare, const SampleArgs&>;
  table.pack = entry<pack, spare, const PackArgs&>;
  return table;
}

}  // namespace

std::vector<const KernelTable*> mirrors() {
  if (gpu() == nullptr) return {};
  // Few spare rows leave a call to the kernels for few rows; many are tiles without a row.
  static const KernelTable kTables[] = {make_table<0>("cuda"), make_table<3>("cuda, 3 spare"),
                                        make_table<70>("cuda, 70 spare")};
  return {&kTables[0], &kTables[1], &kTables[2]};
}

}  // namespace tensormill::testing
