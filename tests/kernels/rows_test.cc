#include <fmt/format.h>

#include <cmath>

#include "fixture.h"

namespace tensormill::testing {
namespace {

struct NormValues {
  std::vector<float> weight, shift;
  Norm norm{};
};

NormValues make_norm(NormKind kind, int width, Random& random) {
  NormValues made;
  made.weight = random.normals(static_cast<size_t>(width));
  made.shift = random.normals(static_cast<size_t>(width));
  made.norm = {kind, made.weight.data(), kind == NormKind::kLayer ? made.shift.data() : nullptr,
               1e-5f};
  return made;
}

std::vector<double> apply(const NormValues& n, std::vector<double> x) {
  if (n.norm.kind == NormKind::kNone) return x;
  double mean = 0, square = 0;
  const auto count = static_cast<double>(x.size());
  if (n.norm.kind == NormKind::kLayer) {
    for (const double v : x) mean += v / count;
  }
  for (const double v : x) square += (v - mean) * (v - mean) / count;
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = (x[i] - mean) / std::sqrt(square + n.norm.eps) * n.weight[i];
    if (n.norm.shift != nullptr) x[i] += n.shift[i];
  }
  return x;
}

struct ResidualCase {
  int width, partials;
  NormKind out, in;
  DType type;
  bool keep_y;
  bool takes = false;
  int rows = 5;
};

void check_residual(const KernelTable& kernels, const ResidualCase& c, ThreadTeam* team) {
  const int rows = c.rows;
  const int32_t take[] = {3, 0, 3, 1, 4};
  const double slack = looseness(kernels) * 1e-5;
  Random random(13);
  const size_t size = static_cast<size_t>(rows) * c.width;
  const auto before = random.normals(size);
  auto residual = before;
  const auto bias = random.normals(static_cast<size_t>(c.width));
  const NormValues out = make_norm(c.out, c.width, random), in = make_norm(c.in, c.width, random);
  ResidualArgs args{};
  std::vector<std::vector<float>> partials;
  for (int p = 0; p < c.partials; ++p) partials.push_back(random.normals(size));
  for (int p = 0; p < c.partials; ++p) args.partial[p] = partials[size_t(p)].data();
  args.partials = c.partials;
  args.bias = bias.data();
  args.out = out.norm;
  args.in = in.norm;
  args.residual = residual.data();
  args.carry = 1.25f;
  args.branch = 0.75f;
  args.keep_y = c.keep_y;
  if (c.takes) args.take = take;
  const int stride = c.width + (c.width % 8 == 0 ? 4 : 3);  // whole pieces, or not
  std::vector<uint8_t> y(static_cast<size_t>(rows) * stride * dtype_size(c.type), 0xee);
  args.y = {y.data(), c.type, stride};
  args.width = c.width;
  args.live = {&rows, rows};
  kernels.residual(args, cpu_stream(team));
  const auto values = read_values(c.type, y.data(), y.size() / dtype_size(c.type));
  for (int row = 0; row < rows; ++row) {
    const size_t at = static_cast<size_t>(c.takes ? take[row] : row) * c.width;
    std::vector<double> r(before.begin() + ptrdiff_t(at), before.begin() + ptrdiff_t(at) + c.width);
    if (c.partials > 0) {
      std::vector<double> s(bias.begin(), bias.end());
      for (const auto& partial : partials) {
        for (int i = 0; i < c.width; ++i) s[i] += partial[at + i];
      }
      s = apply(out, s);
      for (int i = 0; i < c.width; ++i) r[i] = 1.25 * r[i] + 0.75 * s[i];
    }
    const auto want = apply(in, r);
    for (int i = 0; i < c.width; ++i) {
      ASSERT_NEAR(values[size_t(row) * stride + i], want[i], rounding(c.type, want[i]) + slack);
      if (c.takes) continue;
      ASSERT_NEAR(residual[at + i], c.keep_y ? want[i] : r[i], slack);
    }
    ASSERT_EQ(y[(size_t(row) * stride + c.width) * dtype_size(c.type)], 0xee) << "past the row";
  }
  if (c.takes) {
    ASSERT_EQ(residual, before);
  }
}

TEST(Residual, MatchesDoublePrecision) {
  ThreadTeam team(2);
  const NormKind kKinds[] = {NormKind::kNone, NormKind::kLayer, NormKind::kRms};
  for (const KernelTable* kernels : all_tables()) {
    for (const int width : {1, 20, 33, 200, 576}) {
      for (const NormKind out : kKinds) {
        for (const NormKind in : kKinds) {
          for (const DType type : kFloats) {
            for (const int partials : {0, 1, 3}) {
              SCOPED_TRACE(fmt::format("{} width {} norms {} {} {} partials {}", kernels->name,
                                       width, int(out), int(in), dtype_name(type), partials));
              // A row of one value under LayerNorm is all rounding: there is nothing to compare.
              if (width == 1 && (out == NormKind::kLayer || in == NormKind::kLayer)) continue;
              check_residual(*kernels, {width, partials, out, in, type, partials == 3}, &team);
              check_residual(*kernels, {width, partials, out, in, type, false, true}, &team);
            }
          }
        }
      }
    }
  }
}

// Widths at which a GPU gives a row to more threads.
TEST(Residual, WideRowsOfAGpu) {
  const NormKind kKinds[] = {NormKind::kNone, NormKind::kLayer, NormKind::kRms};
  for (const KernelTable* kernels : mirrors()) {
    for (const int width : {768, 1023, 2048, 4096, 8192, 12288, 18432}) {
      for (const NormKind in : kKinds) {
        for (const DType type : kFloats) {
          SCOPED_TRACE(fmt::format("{} width {} norm {} {}", kernels->name, width, int(in),
                                   dtype_name(type)));
          check_residual(*kernels, {width, 1, NormKind::kNone, in, type, false}, nullptr);
          check_residual(*kernels, {width, 8, NormKind::kRms, in, type, true}, nullptr);
          check_residual(*kernels, {width, 1, NormKind::kNone, in, type, false, true}, nullptr);
          check_residual(*kernels, {width, 8, NormKind::kRms, in, type, false, true}, nullptr);
        }
      }
    }
  }
}

// A GPU's blocks stay for several rows of a norm.
TEST(Residual, ManyRowsOfAGpu) {
  for (const KernelTable* kernels : mirrors()) {
    for (const int width : {4096, 8008, 8192}) {
      for (const NormKind in : {NormKind::kLayer, NormKind::kRms}) {
        SCOPED_TRACE(fmt::format("{} width {} norm {}", kernels->name, width, int(in)));
        check_residual(*kernels, {width, 0, NormKind::kNone, in, DType::kBF16, false, false, 700},
                       nullptr);
      }
    }
  }
}

TEST(Residual, FusedWithProductsHasTheSameBits) {
  constexpr int kRows = 9, kWidth = 72;
  ThreadTeam team(2);
  for (const KernelTable* kernels : all_tables()) {
    Random random(41);
    const NormValues in = make_norm(NormKind::kRms, kWidth, random);
    const auto start = random.normals(kRows * kWidth), partial = random.normals(kRows * kWidth);
    const auto source = random.normals(150 * kWidth);
    std::vector<uint16_t> packed(kernels->packed_bytes(WeightFormat::kBF16, 150, kWidth) / 2);
    kernels->pack({{source.data(), DType::kF32, false, 150, kWidth, nullptr, 0, 150},
                   packed.data(),
                   WeightFormat::kBF16,
                   150,
                   kWidth},
                  cpu_stream(&team));
    const Packed weight{packed.data(), WeightFormat::kBF16, 150, kWidth};
    const int rows = kRows;
    const auto run = [&](bool fused) {
      auto residual = start;
      std::vector<uint16_t> y(kRows * kWidth);
      std::vector<float> out(2 * kRows * 150);
      ResidualArgs norm{};
      norm.partial[0] = partial.data();
      norm.partials = 1;
      norm.in = in.norm;
      norm.residual = residual.data();
      norm.carry = norm.branch = 1;
      norm.y = {y.data(), DType::kBF16, kWidth};
      norm.width = kWidth;
      norm.live = {&rows, rows};
      LinearArgs products[2] = {};
      for (int i = 0; i < 2; ++i) {
        products[i].weight = &weight;
        products[i].act = i == 0 ? Activation::kNone : Activation::kSilu;
        products[i].in = norm.y;
        products[i].out = {out.data() + i * kRows * 150, DType::kF32, 150};
        products[i].live = norm.live;
      }
      if (fused) {
        kernels->norm_linear(norm, products, 2, cpu_stream(&team));
      } else {
        kernels->residual(norm, cpu_stream(nullptr));
        for (const LinearArgs& product : products) kernels->linear(product, cpu_stream(nullptr));
      }
      out.insert(out.end(), residual.begin(), residual.end());
      return out;
    };
    const auto fused = run(true), composed = run(false);
    ASSERT_EQ(std::memcmp(fused.data(), composed.data(), fused.size() * 4), 0) << kernels->name;
  }
}

TEST(Embed, TokensAndPositions) {
  constexpr int kVocabulary = 11, kPositions = 7, kWidth = 21;
  ThreadTeam team(2);
  for (const KernelTable* kernels : all_tables()) {
    for (const DType type : kFloats) {
      Random random(2);
      Values table(type, random.normals(kVocabulary * kWidth));
      Values first(type, random.normals(kPositions * kWidth));
      Values second(type, random.normals(kPositions * kWidth));
      const std::vector<int32_t> tokens = {10, 0, 3, 3, 7}, places = {0, 1, 2, 3, 4},
                                 others = {4, 0, 0, 1, 2};
      const int rows = 5;
      for (const int axes : {0, 1, 2, 3}) {  // each bit a table
        std::vector<float> out(rows * kWidth);
        EmbedArgs args{};
        args.tokens = tokens.data();
        args.table = table.data();
        args.type = type;
        if ((axes & 1) != 0) args.position_table[0] = first.data();
        if ((axes & 2) != 0) args.position_table[1] = second.data();
        args.positions[0] = places.data();
        args.positions[1] = others.data();
        args.position_offset = 2;
        args.scale = 1.5f;
        args.residual = out.data();
        args.width = kWidth;
        args.live = {&rows, rows};
        kernels->embed(args, cpu_stream(&team));
        for (int r = 0; r < rows; ++r) {
          for (int i = 0; i < kWidth; ++i) {
            double want = 1.5 * table.exact[size_t(tokens[r] * kWidth + i)];
            if ((axes & 1) != 0) want += first.exact[size_t((places[r] + 2) * kWidth + i)];
            if ((axes & 2) != 0) want += second.exact[size_t((others[r] + 2) * kWidth + i)];
            ASSERT_NEAR(out[r * kWidth + i], want, 1e-6) << kernels->name << " tables " << axes;
          }
        }
      }
    }
  }
}

// A token below 0 stands for the one at its row's place in a sequence's history.
TEST(Embed, TokensFromTheHistory) {
  constexpr int kStride = 6;
  const std::vector<int32_t> tokens = {~0, 7, ~2, ~1, ~2}, slots = {0, 3, 5, 2, 1};
  const int rows = 5;
  for (const KernelTable* kernels : all_tables()) {
    for (const int width : {5, 24}) {
      Random random(2);
      Values table(DType::kBF16, random.normals(size_t(50 * width)));
      std::vector<int32_t> history(3 * kStride);
      for (int32_t& token : history) token = random.below(50);
      std::vector<float> out(size_t(rows * width));
      EmbedArgs args{};
      args.tokens = tokens.data();
      args.history = history.data();
      args.slots = slots.data();
      args.history_stride = kStride;
      args.table = table.data();
      args.type = DType::kBF16;
      args.scale = 1;
      args.residual = out.data();
      args.width = width;
      args.live = {&rows, rows};
      kernels->embed(args, nullptr);
      for (int i = 0; i < rows * width; ++i) {
        const int row = i / width, own = tokens[size_t(row)];
        const int token = own < 0 ? history[size_t(~own * kStride + slots[size_t(row)])] : own;
        ASSERT_EQ(out[size_t(i)], table.exact[size_t(token * width + i % width)])
            << kernels->name << " row " << row;
      }
    }
  }
}

// Rows of sequences whose prompts lie on both sides of an original length of 64.
struct RopeCase {
  static constexpr int kDim = 10, kRows = 24;
  std::vector<float> inv_freq, long_inv_freq, out;
  std::vector<int32_t> positions[2], slots, prompts;
  int32_t rows = kRows;
  RopeArgs args{};

  explicit RopeCase(int axes) {
    const int32_t kPrompts[] = {5, 64, 65, 128, 129, 300};
    for (int i = 0; i < kDim / 2; ++i) {
      inv_freq.push_back(frequency(1e4, i));
      long_inv_freq.push_back(inv_freq.back() / (1 + static_cast<float>(i)));
    }
    for (int r = 0; r < kRows; ++r) {
      positions[0].push_back(r * 13);
      positions[1].push_back(170 - r * 7);
      slots.push_back(r * 9);  // up to 207: past 64, and past most prompts
      prompts.push_back(kPrompts[r / 2 % 6]);
    }
    out.resize(size_t{kRows} * kDim * axes);
    args.positions[0] = positions[0].data();
    if (axes > 1) args.positions[1] = positions[1].data();
    args.axes = axes;
    args.slots = slots.data();
    args.prompts = prompts.data();
    args.inv_freq = inv_freq.data();
    args.long_inv_freq = long_inv_freq.data();
    args.dim = kDim;
    args.scale = 1.5f;
    args.theta = 10000.0f;
    args.factor = 2.0f;
    args.original_length = 64;
    args.cos_sin = out.data();
    args.live = {&rows, rows};
  }

  static float frequency(double base, int i) {
    return static_cast<float>(1.0 / std::pow(base, 2.0 * i / kDim));
  }

  // What the base of a prompt is multiplied by, before its exponent: Qwen's alpha.
  static double alpha(int prompt) {
    return prompt <= 64 ? 1 : prompt <= 128 ? 3 : prompt <= 256 ? 7 : 15;
  }

  double expected_frequency(int row, int i) const {
    const int prompt = prompts[size_t(row)], length = std::max(prompt, slots[size_t(row)] + 1);
    const double exponent = kDim / (kDim - 2.0);
    switch (args.length) {
      case RopeLength::kNone:
        break;
      case RopeLength::kDynamic:
        if (length <= 64) break;
        return frequency(1e4 * std::pow(2.0 * length / 64 - 1, exponent), i);
      case RopeLength::kPowers:
        return frequency(1e4 * std::pow(alpha(prompt), exponent), i);
      case RopeLength::kLong:
        return length > 64 ? long_inv_freq[size_t(i)] : inv_freq[size_t(i)];
    }
    return inv_freq[size_t(i)];
  }

  // The largest distance from the angles of inv_freq.
  double check(double slack) {
    double moved = 0;
    for (int r = 0; r < kRows; ++r) {
      for (int axis = 0; axis < args.axes; ++axis) {
        const float* at = &out[size_t(r * args.axes + axis) * kDim];
        for (int i = 0; i < kDim / 2; ++i) {
          const double place = positions[axis][size_t(r)];
          const double angle = static_cast<float>(place * expected_frequency(r, i));
          EXPECT_NEAR(at[i], 1.5 * std::cos(angle), slack) << "row " << r << " angle " << i;
          EXPECT_NEAR(at[kDim / 2 + i], 1.5 * std::sin(angle), slack) << "row " << r << " " << i;
          moved = std::max(moved, std::fabs(at[i] - 1.5 * std::cos(place * inv_freq[size_t(i)])));
        }
      }
    }
    return moved;
  }
};

// What all of a CPU's levels share, and the GPU.
std::vector<const KernelTable*> shared_tables() {
  std::vector<const KernelTable*> all = mirrors();
  all.push_back(cpu_kernels("portable"));
  return all;
}

TEST(Rope, AnglesOfEveryLength) {
  for (const KernelTable* kernels : shared_tables()) {
    const double exact = looseness(*kernels) * 3e-7;
    for (const int threads : {1, 3}) {
      ThreadTeam team(threads);
      for (const int axes : {1, 2}) {
        RopeCase c(axes);
        kernels->rope(c.args, cpu_stream(&team));
        EXPECT_LT(c.check(exact), 1e-4);
        for (const RopeLength length :
             {RopeLength::kDynamic, RopeLength::kPowers, RopeLength::kLong}) {
          SCOPED_TRACE(fmt::format("{} length {} axes {}", kernels->name, int(length), axes));
          c.args.length = length;
          kernels->rope(c.args, cpu_stream(&team));
          // A frequency of the reference, rounded: an ulp of it, times the position.
          EXPECT_GT(c.check(length == RopeLength::kLong ? exact : 1e-4), 0.1);
        }
      }
    }
  }
}

TEST(Gpu, IsThere) {
  if (mirrors().empty()) GTEST_SKIP() << "no GPU that this build has kernels for";
}

TEST(Levels, AutoIsTheBestAndUnknownIsNull) {
  EXPECT_STREQ(cpu_kernels("auto")->name, cpu_features().levels.back().c_str());
  EXPECT_EQ(cpu_kernels("pentium"), nullptr);
  EXPECT_NE(cpu_kernels("portable"), nullptr);
}

}  // namespace
}  // namespace tensormill::testing
