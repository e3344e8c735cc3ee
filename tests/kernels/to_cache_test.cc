#include <fmt/format.h>

#include <cmath>

#include "fixture.h"

namespace tensormill::testing {
namespace {

struct Variant {
  const char* name;
  float clip = 0;
  NormKind norm = NormKind::kNone;
  HeadNorm span = HeadNorm::kHead;
  int rope_dim = 0, rope_axes = 1;  // 0: none
  bool neighbours = false;
  int log_n = 0;
};

constexpr int kHeads = 3, kKvHeads = 2, kRows = 6, kBlocks = 5;

// Queries or keys of one row: `heads` heads of `dim` values.
using Part = std::vector<double>;

void clip(const Variant& variant, Part& x) {
  if (variant.clip == 0) return;
  for (double& v : x) v = std::min(std::max(v, -double{variant.clip}), double{variant.clip});
}

void norm(const Variant& variant, int dim, const Norm& with, Part& x) {
  if (variant.norm == NormKind::kNone) return;
  const size_t span = variant.span == HeadNorm::kAllHeads ? x.size() : size_t(dim);
  for (size_t begin = 0; begin < x.size(); begin += span) {
    double square = 0, mean = 0;
    const auto count = static_cast<double>(span);
    if (variant.norm == NormKind::kLayer) {
      for (size_t i = begin; i < begin + span; ++i) mean += x[i] / count;
    }
    for (size_t i = begin; i < begin + span; ++i) square += (x[i] - mean) * (x[i] - mean) / count;
    for (size_t i = begin; i < begin + span; ++i) {
      const size_t at = variant.span == HeadNorm::kHead ? i % size_t(dim) : i;
      x[i] = (x[i] - mean) / std::sqrt(square + with.eps) * with.weight[at];
      if (with.shift != nullptr) x[i] += with.shift[at];
    }
  }
}

void turn(const Variant& variant, int dim, const float* cos_sin, Part& x) {
  const int half = variant.rope_dim / 2;
  for (size_t head = 0; head < x.size(); head += size_t(dim)) {
    for (int axis = 0; axis < variant.rope_axes; ++axis) {
      const float* angles = cos_sin + axis * variant.rope_dim;
      double* from = &x[head] + axis * variant.rope_dim;
      for (int i = 0; i < half; ++i) {
        double& one = from[variant.neighbours ? 2 * i : i];
        double& two = from[variant.neighbours ? 2 * i + 1 : i + half];
        const double a = one, b = two, c = angles[i], s = angles[half + i];
        one = a * c - b * s;
        two = b * c + a * s;
      }
    }
  }
}

// A step of rows of two sequences, its arguments and what must come out.
struct Case {
  const Variant& variant;
  int dim, value_dim, stride;
  DType type, query;  // of the cache, of queries
  bool keys_by_dim;
  Values qkv;
  std::vector<float> weights[2], shifts[2], angles;
  std::vector<int32_t> sequence = {0, 0, 1, 1, 1, 0}, slots = {0, 1, 31, 32, 33, 2};
  std::vector<int32_t> table = {4, -1, 2, 0};
  std::vector<uint8_t> q, k, v;
  int32_t rows = kRows;
  ToCacheArgs args{};

  Case(const KernelTable& kernels, const Variant& one, int width, int value_width, DType cache,
       DType query_type = DType::kF32, DType product = DType::kF32)
      : variant(one),
        dim(width),
        value_dim(value_width),
        type(cache),
        query(query_type),
        keys_by_dim(kernels.keys_by_dim),
        qkv(product, {}) {
    Random random(19);
    stride = (kHeads + kKvHeads) * dim + kKvHeads * value_dim + 1;
    if (product != DType::kF32) stride = (stride + 7) / 8 * 8;  // whole pieces of 16 bytes
    qkv = Values(product, random.normals(static_cast<size_t>(kRows) * stride));
    angles =
        random.normals(static_cast<size_t>(kRows) * (variant.rope_dim * variant.rope_axes + 1));
    q.resize(static_cast<size_t>(kRows) * kHeads * dim * dtype_size(query));
    for (int part = 0; part < 2; ++part) {
      const auto count = static_cast<size_t>((part == 0 ? kHeads : kKvHeads) * dim);
      weights[part] = random.normals(count);
      shifts[part] = random.normals(count);
    }
    k.resize(static_cast<size_t>(kBlocks * k_stride().block) * dtype_size(type));
    v.resize(static_cast<size_t>(kBlocks * v_stride().block) * dtype_size(type));
    set_args();
  }

  KvStrides k_stride() const {
    const int64_t head = kv_block(type, dim);
    return {head * kKvHeads, head};
  }
  // All blocks of a head side by side.
  KvStrides v_stride() const {
    const int64_t block = kv_block(type, value_dim);
    return {block * kKvHeads, block};
  }
  Norm norm_of(int part) const {
    const bool shifted = variant.norm == NormKind::kLayer;
    return {variant.norm, weights[part].data(), shifted ? shifts[part].data() : nullptr, 1e-5f};
  }

  void set_args() {
    args.qkv = {qkv.data(), qkv.type, stride};
    args.heads = kHeads;
    args.kv_heads = kKvHeads;
    args.dim = dim;
    args.value_dim = value_dim;
    args.clip = variant.clip;
    args.q_norm = norm_of(0);
    args.k_norm = norm_of(1);
    args.norm_span = variant.span;
    args.cos_sin = variant.rope_dim > 0 ? angles.data() : nullptr;
    args.rope_dim = variant.rope_dim;
    args.rope_axes = variant.rope_axes;
    args.neighbours = variant.neighbours;
    args.log_n = variant.log_n;
    args.row_sequence = sequence.data();
    args.slots = slots.data();
    args.q = {q.data(), query, kHeads * dim};
    args.kv = {k.data(), v.data(), type, k_stride(), v_stride(), table.data(), 2};
    args.live = {&rows, rows};
  }

  // Queries (part 0), keys (1) or values (2) of one row.
  Part expected(int row, int part) const {
    const float* from = &qkv.exact[size_t(row) * stride];
    if (part > 0) from += kHeads * dim;
    if (part > 1) from += kKvHeads * dim;
    Part x(from, from + (part == 0 ? kHeads * dim : kKvHeads * (part == 1 ? dim : value_dim)));
    clip(variant, x);
    if (part == 2) return x;
    norm(variant, dim, norm_of(part), x);
    turn(variant, dim, &angles[size_t(row) * variant.rope_dim * variant.rope_axes], x);
    const int slot = slots[size_t(row)];
    if (part == 0 && variant.log_n > 0 && slot >= variant.log_n) {
      for (double& value : x) value *= std::log(slot + 1.0) / std::log(double(variant.log_n));
    }
    return x;
  }

  void check_row(int row, const std::vector<float>& queries, const std::vector<float>& keys,
                 const std::vector<float>& values, double slack) const {
    const auto near = [&](float got, double want, DType stored, const char* what, int at) {
      EXPECT_NEAR(got, want, rounding(stored, want) + slack) << what << " row " << row << " " << at;
    };
    const Part want_q = expected(row, 0), want_k = expected(row, 1), want_v = expected(row, 2);
    for (int i = 0; i < kHeads * dim; ++i) {
      near(queries[size_t(row) * kHeads * dim + i], want_q[i], query, "query", i);
    }
    const int slot = slots[size_t(row)], token = slot % kBlockTokens;
    const int64_t block = table[size_t(sequence[row] * 2 + slot / kBlockTokens)];
    for (int h = 0; h < kKvHeads; ++h) {
      const int64_t k_at =
          block * k_stride().block + h * k_stride().head + token * (keys_by_dim ? 1 : dim);
      for (int d = 0; d < dim; ++d) {
        near(keys[size_t(k_at + d * (keys_by_dim ? kBlockTokens : 1))], want_k[h * dim + d], type,
             "key", h * dim + d);
      }
      const int64_t v_at = block * v_stride().block + h * v_stride().head + token * value_dim;
      for (int d = 0; d < value_dim; ++d) {
        near(values[size_t(v_at + d)], want_v[h * value_dim + d], type, "value", d);
      }
    }
  }

  // A head of one token in 8 bits.
  void check_bytes(const uint8_t* block, BytePlace place, int64_t token, const double* want,
                   int count) const {
    double most = 0;
    for (int d = 0; d < count; ++d) most = std::max(most, std::fabs(want[d]));
    const float scale = scale_of_eighths(block, count, token);
    EXPECT_NEAR(scale, most / 127, 1e-7 + 1e-5 * most);
    for (int d = 0; d < count; ++d) {
      const int byte = block[place(count, token, d)];
      EXPECT_GT(byte, 0);
      EXPECT_NEAR(scale * static_cast<float>(byte - 128), want[d], 0.501 * scale + 1e-5) << d;
    }
  }

  void check_bytes(const KernelTable& kernels, ThreadTeam* team) {
    SCOPED_TRACE(fmt::format("{} {} dim {}, {}", kernels.name, variant.name, dim, value_dim));
    kernels.to_cache(args, cpu_stream(team));
    for (int row = 0; row < kRows && !::testing::Test::HasFailure(); ++row) {
      const Part keys = expected(row, 1), values = expected(row, 2);
      const int slot = slots[size_t(row)], token = slot % kBlockTokens;
      const int64_t block = table[size_t(sequence[row] * 2 + slot / kBlockTokens)];
      for (int h = 0; h < kKvHeads; ++h) {
        check_bytes(&k[size_t(block * k_stride().block + h * k_stride().head)], key_byte, token,
                    &keys[size_t(h * dim)], dim);
        check_bytes(&v[size_t(block * v_stride().block + h * v_stride().head)], value_byte, token,
                    &values[size_t(h * value_dim)], value_dim);
      }
    }
  }

  void check(const KernelTable& kernels, ThreadTeam* team) {
    SCOPED_TRACE(fmt::format("{} {} dim {} {} queries {}", kernels.name, variant.name, dim,
                             dtype_name(type), dtype_name(query)));
    kernels.to_cache(args, cpu_stream(team));
    const auto queries = read_values(query, q.data(), q.size() / dtype_size(query));
    const auto keys = read_values(type, k.data(), k.size() / dtype_size(type));
    const auto values = read_values(type, v.data(), v.size() / dtype_size(type));
    for (int row = 0; row < kRows && !::testing::Test::HasFailure(); ++row) {
      check_row(row, queries, keys, values, looseness(kernels) * 4e-6);
    }
  }
};

std::vector<Variant> variants(int dim) {
  const auto kRms = NormKind::kRms, kLayer = NormKind::kLayer;
  const int even = dim / 2 * 2, axis = dim / 4 * 2;
  return {
      {.name = "plain"},
      {.name = "clip", .clip = 0.7f},
      {.name = "rope", .rope_dim = even},
      {.name = "partial", .rope_dim = 6},
      {.name = "pairs", .rope_dim = even, .neighbours = true},
      {.name = "two axes", .rope_dim = axis, .rope_axes = 2},
      {.name = "two axes of pairs", .rope_dim = 4, .rope_axes = 2, .neighbours = true},
      {.name = "layer", .norm = kLayer},
      {.name = "each head", .norm = kLayer, .span = HeadNorm::kEachHead},
      {.name = "all heads", .norm = kLayer, .span = HeadNorm::kAllHeads},
      {.name = "log n", .log_n = 32},
      {"clip and norm of all", 0.9f, kRms, HeadNorm::kAllHeads, axis, 2, false, 33},
      {"clip and norm of each", 1.5f, kRms, HeadNorm::kEachHead, 6, 1, true, 2},
      {"clip and norm", 1.5f, kRms, HeadNorm::kHead, 6, 1, true, 0},
  };
}

TEST(ToCache, MatchesDoublePrecision) {
  ThreadTeam team(2);
  for (const KernelTable* kernels : all_tables()) {
    for (const int dim : {8, 20, 33, 64}) {
      for (const Variant& variant : variants(dim)) {
        for (const DType type : kFloats) {
          Case(*kernels, variant, dim, dim, type).check(*kernels, &team);
          Case(*kernels, variant, dim, dim == 20 ? 37 : 5, type).check(*kernels, &team);
        }
      }
    }
  }
}

TEST(ToCache, Bytes) {
  ThreadTeam team(2);
  for (const KernelTable* kernels : levels()) {
    for (const int dim : {8, 20, 33, 64}) {
      for (const Variant& variant : variants(dim)) {
        Case(*kernels, variant, dim, dim == 20 ? 37 : 5, DType::kI8).check_bytes(*kernels, &team);
      }
    }
  }
}

// NaN and infinity make the scale NaN, zeros make it 0.
TEST(ToCache, BytesOfNoNumber) {
  for (const KernelTable* kernels : levels()) {
    const Variant plain{.name = "plain"};
    for (const float odd : {NAN, INFINITY, 0.0f}) {
      Case one(*kernels, plain, 20, 12, DType::kI8);
      auto* row = reinterpret_cast<float*>(one.qkv.bytes.data());
      float* key = row + kHeads * 20;  // of row 0: token 0 of block 4
      std::fill_n(key, 20, 0.0f);
      key[19] = odd;
      kernels->to_cache(one.args, nullptr);
      const float scale = scale_of_eighths(&one.k[size_t(4 * one.k_stride().block)], 20, 0);
      EXPECT_EQ(std::isnan(scale), odd != 0) << kernels->name;
      EXPECT_TRUE(odd != 0 || scale == 0);
    }
  }
}

// Queries in the type of the cache, and what they are made of too.
TEST(ToCache, HalfQueriesOfAGpu) {
  for (const KernelTable* kernels : mirrors()) {
    for (const int dim : {20, 64, 80, 128, 256}) {
      for (const Variant& variant : variants(dim)) {
        for (const DType type : {DType::kBF16, DType::kF16}) {
          const int values = dim == 80 ? 64 : dim;
          Case(*kernels, variant, dim, values, type, type).check(*kernels, nullptr);
          Case(*kernels, variant, dim, values, type, type, type).check(*kernels, nullptr);
        }
      }
    }
  }
}

}  // namespace
}  // namespace tensormill::testing
