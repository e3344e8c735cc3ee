#include <fmt/format.h>

#include <cmath>

#include "fixture.h"

namespace tensormill::testing {
namespace {

struct Variant {
  const char* name;
  float clip;
  NormKind norm;
  int rope_dim;  // 0: none
  bool neighbours;
};

constexpr int kHeads = 3, kKvHeads = 1, kRows = 6, kBlocks = 5;

// One head of one row as it must come out.
std::vector<double> expected_head(const Variant& variant, const float* from, int dim,
                                  const std::vector<float>& weight, const float* cos_sin,
                                  bool norms, bool turns) {
  std::vector<double> x(from, from + dim);
  if (variant.clip > 0) {
    for (double& v : x) v = std::min(std::max(v, -double{variant.clip}), double{variant.clip});
  }
  if (norms && variant.norm != NormKind::kNone) {
    double square = 0, mean = 0;
    if (variant.norm == NormKind::kLayer) {
      for (const double v : x) mean += v / dim;
    }
    for (const double v : x) square += (v - mean) * (v - mean) / dim;
    for (int i = 0; i < dim; ++i) x[i] = (x[i] - mean) / std::sqrt(square + 1e-5) * weight[i];
  }
  const int half = variant.rope_dim / 2;
  for (int i = 0; turns && i < half; ++i) {
    const int one = variant.neighbours ? 2 * i : i, two = variant.neighbours ? 2 * i + 1 : i + half;
    const double a = x[one], b = x[two], c = cos_sin[i], s = cos_sin[half + i];
    x[one] = a * c - b * s;
    x[two] = b * c + a * s;
  }
  return x;
}

void check(const KernelTable& kernels, const Variant& variant, int dim, DType type,
           ThreadTeam* team) {
  SCOPED_TRACE(fmt::format("{} {} dim {} {}", kernels.name, variant.name, dim, dtype_name(type)));
  Random random(19);
  const int heads = kHeads + 2 * kKvHeads, stride = heads * dim + 1, rows = kRows;
  const auto qkv = random.normals(static_cast<size_t>(kRows) * stride);
  const auto weight = random.normals(static_cast<size_t>(dim));
  const auto angles = random.normals(static_cast<size_t>(kRows) * std::max(1, variant.rope_dim));
  const std::vector<int32_t> sequence = {0, 0, 1, 1, 1, 0}, position = {0, 1, 31, 32, 33, 2};
  const std::vector<int32_t> table = {4, -1, 2, 0};
  std::vector<float> q(static_cast<size_t>(kRows) * kHeads * dim);
  const int64_t block_stride = int64_t{kBlockTokens} * dim;
  std::vector<uint8_t> k(size_t(kBlocks * block_stride) * dtype_size(type)), v = k;
  ToCacheArgs args{};
  args.qkv = qkv.data();
  args.qkv_stride = stride;
  args.heads = kHeads;
  args.kv_heads = kKvHeads;
  args.dim = dim;
  args.clip = variant.clip;
  args.q_norm = args.k_norm = {variant.norm, weight.data(), nullptr, 1e-5f};
  args.cos_sin = variant.rope_dim > 0 ? angles.data() : nullptr;
  args.rope_dim = variant.rope_dim;
  args.neighbours = variant.neighbours;
  args.row_sequence = sequence.data();
  args.positions = position.data();
  args.q = q.data();
  args.kv = {k.data(), v.data(), type, block_stride, block_stride, table.data(), 2};
  args.live = {&rows, rows};
  kernels.to_cache(args, cpu_stream(team));
  const auto keys = read_values(type, k.data(), k.size() / dtype_size(type));
  const auto values = read_values(type, v.data(), v.size() / dtype_size(type));
  for (int row = 0; row < kRows; ++row) {
    for (int h = 0; h < heads; ++h) {
      const bool is_q = h < kHeads, is_v = h == heads - 1;
      const auto want =
          expected_head(variant, &qkv[size_t(row) * stride + size_t(h) * dim], dim, weight,
                        &angles[size_t(row) * variant.rope_dim], !is_v, !is_v);
      const int64_t block = table[size_t(sequence[row] * 2 + position[row] / kBlockTokens)];
      const int token = position[row] % kBlockTokens;
      for (int d = 0; d < dim; ++d) {
        const float got = is_q   ? q[(size_t(row) * kHeads + h) * dim + d]
                          : is_v ? values[size_t(block * block_stride + token * dim + d)]
                                 : keys[size_t(block * block_stride + d * kBlockTokens + token)];
        const DType stored = is_q ? DType::kF32 : type;
        ASSERT_NEAR(got, want[d], rounding(stored, want[d]) + 3e-6)
            << "row " << row << " head " << h << " element " << d;
      }
    }
  }
}

TEST(ToCache, MatchesDoublePrecision) {
  ThreadTeam team(2);
  for (const KernelTable* kernels : levels()) {
    for (const int dim : {8, 20, 33, 64}) {
      const int even = dim / 2 * 2;
      const Variant kVariants[] = {
          {"plain", 0, NormKind::kNone, 0, false},   {"clip", 0.7f, NormKind::kNone, 0, false},
          {"rope", 0, NormKind::kNone, even, false}, {"partial", 0, NormKind::kNone, 6, false},
          {"pairs", 0, NormKind::kNone, even, true}, {"all", 1.5f, NormKind::kRms, 6, true},
          {"layer", 0, NormKind::kLayer, 0, false},
      };
      for (const Variant& variant : kVariants) {
        for (const DType type : kFloats) check(*kernels, variant, dim, type, &team);
      }
    }
  }
}

}  // namespace
}  // namespace tensormill::testing
