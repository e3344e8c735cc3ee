// Products in 8 bits against the plain sum of the same quantized values, at every level.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "fixture.h"
#include "tensor/tensor.h"

namespace tensormill::testing {
namespace {

constexpr WeightFormat kFormat = WeightFormat::kInt8;

// A packed weight and what its bytes mean.
struct Int8Weight {
  std::vector<float> exact;  // what was packed
  Buffer bytes;
  Packed packed;

  Int8Weight(const KernelTable& kernels, int outputs, int inner, std::vector<float> values)
      : exact(std::move(values)),
        bytes(kernels.packed_bytes(kFormat, outputs, inner), "weight"),
        packed{bytes.data(), kFormat, outputs, inner} {
    std::memset(bytes.data(), 0x55, bytes.size());
    const PackSource source{exact.data(), DType::kF32, false, outputs, inner, nullptr, 0, outputs};
    kernels.pack({source, bytes.data(), kFormat, outputs, inner}, nullptr);
  }

  const uint8_t* piece(int output, int group) const {
    const size_t panel = panel_bytes(kFormat, kPanel, packed.inner);
    return bytes.as<uint8_t>() + size_t(output / kPanel) * panel + size_t(group) * kInt8Piece;
  }
  float scale(int output, int group) const {
    uint16_t bits;
    std::memcpy(&bits, piece(output, group) + 2 * (output % kPanel), 2);
    return from_bf16(bits);
  }
  int q(int output, int k) const {
    const int in = k % kInt8Group;
    const uint8_t* at = piece(output, k / kInt8Group) + kInt8Scales;
    return at[in / 4 * 4 * kPanel + output % kPanel * 4 + in % 4] - 128;
  }
};

// Rows as a norm that does nothing leaves them.
std::vector<Int8Group> quantized(const KernelTable& kernels, std::vector<float> x, int rows,
                                 int width) {
  std::vector<Int8Group> groups(static_cast<size_t>(rows) * int8_groups(width));
  ResidualArgs args{};
  args.residual = x.data();
  args.y = {nullptr, DType::kF32, width, groups.data()};
  args.width = width;
  args.live = {&rows, rows};
  kernels.residual(args, nullptr);
  return groups;
}

std::vector<float> run(const KernelTable& kernels, LinearArgs args, int rows, ThreadTeam* team) {
  const int width = args.gated ? args.weight->outputs / 2 : args.weight->outputs;
  std::vector<float> out(static_cast<size_t>(rows) * width + 1, 12345);
  args.out = {out.data(), DType::kF32, width};
  args.live = {&rows, rows};
  kernels.linear(args, cpu_stream(team));
  EXPECT_EQ(out.back(), 12345) << "written past the end";
  out.pop_back();
  return out;
}

struct Shape {
  int rows, outputs, inner;
};
const Shape kShapes[] = {{1, 64, 128},  {3, 70, 33},   {5, 20, 1},     {7, 130, 513},
                         {2, 48, 1025}, {6, 576, 576}, {13, 200, 259}, {100, 66, 128},
                         {4, 64, 127},  {11, 100, 640}};

TEST(Int8, RowsAndWeightsAreRoundedToTheNearestStep) {
  for (const KernelTable* kernels : levels()) {
    for (const Shape& shape : kShapes) {
      Random random(21);
      const std::vector<float> x = random.normals(size_t(shape.rows) * shape.inner, 3);
      const auto groups = quantized(*kernels, x, shape.rows, shape.inner);
      for (int g = 0; g < int(groups.size()); ++g) {
        const int row = g / int(int8_groups(shape.inner)),
                  first = g % int(int8_groups(shape.inner));
        int sum = 0;
        for (int k = 0; k < kInt8Group; ++k) {
          const int at = first * kInt8Group + k;
          const float value = at < shape.inner ? x[size_t(row) * shape.inner + at] : 0;
          ASSERT_NEAR(groups[g].scale * groups[g].q[k], value, 0.5001 * groups[g].scale);
          ASSERT_GE(groups[g].q[k], -127);
          sum += groups[g].q[k];
        }
        ASSERT_EQ(groups[g].start, -128 * sum);
      }
      const Int8Weight weight(*kernels, shape.outputs, shape.inner,
                              random.normals(size_t(shape.outputs) * shape.inner));
      for (int o = 0; o < shape.outputs; ++o) {
        for (int k = 0; k < shape.inner; ++k) {
          const float scale = weight.scale(o, k / kInt8Group);
          ASSERT_NEAR(scale * weight.q(o, k), weight.exact[size_t(o) * shape.inner + k],
                      0.5001 * scale)
              << kernels->name << " " << o << "," << k;
          ASSERT_GE(weight.q(o, k), -127);
        }
      }
    }
  }
}

TEST(Int8, MatchesTheSumOfWhatIsStored) {
  ThreadTeam team(3);
  for (const KernelTable* kernels : levels()) {
    for (const Shape& shape : kShapes) {
      SCOPED_TRACE(
          fmt::format("{} {} x {} x {}", kernels->name, shape.rows, shape.outputs, shape.inner));
      Random random(7);
      const Int8Weight weight(*kernels, shape.outputs, shape.inner,
                              random.normals(size_t(shape.outputs) * shape.inner));
      const auto groups = quantized(*kernels, random.normals(size_t(shape.rows) * shape.inner),
                                    shape.rows, shape.inner);
      const auto bias = random.normals(size_t(shape.outputs));
      const auto addend = random.normals(size_t(shape.rows) * shape.outputs);
      LinearArgs args{};
      args.weight = &weight.packed;
      args.bias = bias.data();
      args.addend = addend.data();
      args.in.q = const_cast<Int8Group*>(groups.data());
      const auto out = run(*kernels, args, shape.rows, &team);
      for (int r = 0; r < shape.rows; ++r) {
        for (int o = 0; o < shape.outputs; ++o) {
          double sum = double{bias[o]} + addend[size_t(r) * shape.outputs + o], size = 1;
          for (int k = 0; k < shape.inner; ++k) {
            const Int8Group& group = groups[r * int8_groups(shape.inner) + k / kInt8Group];
            const double product = double{group.scale} * group.q[k % kInt8Group] *
                                   weight.scale(o, k / kInt8Group) * weight.q(o, k);
            sum += product;
            size += std::fabs(product);
          }
          ASSERT_NEAR(out[size_t(r) * shape.outputs + o], sum, 1e-6 * size) << r << "," << o;
        }
      }
    }
  }
}

// The largest values there are: nothing saturates on the way.
TEST(Int8, NothingSaturates) {
  constexpr int kOutputs = 64, kInner = 4096;
  for (const KernelTable* kernels : levels()) {
    for (const float sign : {1.0f, -1.0f}) {
      const Int8Weight weight(*kernels, kOutputs, kInner,
                              std::vector<float>(size_t{kOutputs} * kInner, 127 * sign));
      const auto groups = quantized(*kernels, std::vector<float>(kInner, 127), 1, kInner);
      LinearArgs args{};
      args.weight = &weight.packed;
      args.in.q = const_cast<Int8Group*>(groups.data());
      const double expected = sign * 127.0 * 127.0 * kInner;
      for (const float out : run(*kernels, args, 1, nullptr)) {
        ASSERT_NEAR(out, expected, 1e-6 * std::fabs(expected)) << kernels->name;
      }
    }
  }
}

// The order that table.h promises.
TEST(Int8, KeepsTheOrderOfGroups) {
  constexpr int kOutputs = 65, kInner = 1300;
  for (const KernelTable* kernels : levels()) {
    Random random(5);
    const Int8Weight weight(*kernels, kOutputs, kInner, random.normals(size_t{kOutputs} * kInner));
    const auto groups = quantized(*kernels, random.normals(kInner), 1, kInner);
    LinearArgs args{};
    args.weight = &weight.packed;
    args.in.q = const_cast<Int8Group*>(groups.data());
    const auto out = run(*kernels, args, 1, nullptr);
    const bool fused = std::string(kernels->name) != "portable";
    for (int o = 0; o < kOutputs; ++o) {
      float total = 0;
      for (int g = 0; g < int(int8_groups(kInner)); ++g) {
        int sum = 0;
        for (int k = g * kInt8Group; k < std::min(kInner, (g + 1) * kInt8Group); ++k) {
          sum += groups[g].q[k % kInt8Group] * weight.q(o, k);
        }
        const float scale = weight.scale(o, g) * groups[g].scale;
        volatile float product = float(sum) * scale;  // not to be contracted
        total = fused ? std::fma(float(sum), scale, total) : product + total;
      }
      ASSERT_EQ(out[o], total) << kernels->name << " output " << o;
    }
  }
}

TEST(Int8, RowsKeepTheirBits) {
  constexpr int kMost = 512, kOutputs = 196, kInner = 2100;
  for (const KernelTable* kernels : levels()) {
    Random random(3);
    const Int8Weight weight(*kernels, kOutputs, kInner, random.normals(size_t{kOutputs} * kInner));
    auto groups = quantized(*kernels, random.normals(size_t{kMost} * kInner), kMost, kInner);
    LinearArgs args{};
    args.weight = &weight.packed;
    std::vector<float> alone;
    for (int r = 0; r < kMost; ++r) {
      args.in.q = &groups[r * int8_groups(kInner)];
      const auto row = run(*kernels, args, 1, nullptr);
      alone.insert(alone.end(), row.begin(), row.end());
    }
    args.in.q = groups.data();
    for (const int threads : {1, 2, 3, 4}) {
      ThreadTeam team(threads);
      for (int rows = 1; rows <= kMost;
           rows = rows < 64 ? rows + (threads == 1 ? 1 : 7) : rows * 8) {
        const auto together = run(*kernels, args, rows, &team);
        ASSERT_EQ(std::memcmp(together.data(), alone.data(), together.size() * sizeof(float)), 0)
            << kernels->name << " rows " << rows << " threads " << threads;
      }
    }
  }
}

TEST(Int8, PacksPartsInAnyOrder) {
  constexpr int kInner = 205, kOutputs = 109;
  for (const KernelTable* kernels : levels()) {
    Random random(9);
    const std::vector<float> all = random.normals(size_t{kOutputs} * kInner);
    const Int8Weight whole(*kernels, kOutputs, kInner, all);
    // Even rows, odd rows and a transposed tail.
    std::vector<float> even, odd, tail(size_t{kInner} * 9);
    std::vector<int32_t> even_map(100, -1), odd_map(100, -1);
    for (int row = 0; row < 100; ++row) {
      auto& half = row % 2 == 0 ? even : odd;
      half.insert(half.end(), &all[size_t(row) * kInner], &all[size_t(row + 1) * kInner]);
      (row % 2 == 0 ? even_map : odd_map)[size_t(row)] = row / 2;
    }
    for (int row = 0; row < 9; ++row) {
      for (int k = 0; k < kInner; ++k)
        tail[size_t(k) * 9 + row] = all[size_t(100 + row) * kInner + k];
    }
    Buffer bytes(whole.bytes.size(), "weight");
    std::memset(bytes.data(), 0x55, bytes.size());
    const auto pack = [&](const PackSource& source) {
      kernels->pack({source, bytes.data(), kFormat, kOutputs, kInner}, nullptr);
    };
    pack({even.data(), DType::kF32, false, 50, kInner, even_map.data(), 0, 100});
    pack({odd.data(), DType::kF32, false, 50, kInner, odd_map.data(), 0, 100});
    pack({tail.data(), DType::kF32, true, 9, kInner, nullptr, 100, 9});
    EXPECT_EQ(std::memcmp(bytes.data(), whole.bytes.data(), bytes.size()), 0) << kernels->name;
  }
}

// What a product and a norm leave for the next product is the quantized form of their f32 rows.
TEST(Int8, ProducersWriteBothForms) {
  constexpr int kRows = 9, kOutputs = 300, kInner = 140;
  ThreadTeam team(2);
  for (const KernelTable* kernels : levels()) {
    Random random(13);
    const Int8Weight weight(*kernels, kOutputs, kInner, random.normals(size_t{kOutputs} * kInner));
    std::vector<float> residual = random.normals(size_t{kRows} * kInner), y(residual.size());
    const auto norm_weight = random.normals(kInner);
    std::vector<Int8Group> groups(size_t{kRows} * int8_groups(kInner));
    const int rows = kRows;
    ResidualArgs norm{};
    norm.residual = residual.data();
    norm.in = {NormKind::kRms, norm_weight.data(), nullptr, 1e-5f};
    norm.y = {y.data(), DType::kF32, kInner, groups.data()};
    norm.width = kInner;
    norm.live = {&rows, rows};
    const auto same = [&](const std::vector<Int8Group>& got, const std::vector<float>& x,
                          int width) {
      const auto expected = quantized(*kernels, x, kRows, width);
      ASSERT_EQ(std::memcmp(got.data(), expected.data(), got.size() * sizeof got[0]), 0)
          << kernels->name;
    };
    LinearArgs product{};
    product.weight = &weight.packed;
    product.act = Activation::kSilu;
    product.gated = true;
    product.in = norm.y;
    std::vector<float> out(size_t{kRows} * (kOutputs / 2));
    std::vector<Int8Group> out_groups(size_t{kRows} * int8_groups(kOutputs / 2));
    product.out = {out.data(), DType::kF32, kOutputs / 2, out_groups.data()};
    product.live = norm.live;
    kernels->norm_linear(norm, &product, 1, cpu_stream(&team));
    same(groups, y, kInner);
    same(out_groups, out, kOutputs / 2);
  }
}

TEST(Int8, NaNAndInfinityAreSeen) {
  constexpr int kOutputs = 64, kInner = 300;
  for (const KernelTable* kernels : levels()) {
    for (const float bad : {NAN, INFINITY, -INFINITY}) {
      Random random(3);
      const Int8Weight weight(*kernels, kOutputs, kInner,
                              random.normals(size_t{kOutputs} * kInner));
      std::vector<float> x = random.normals(size_t{2} * kInner);
      x[kInner + 290] = bad;
      auto groups = quantized(*kernels, x, 2, kInner);
      LinearArgs args{};
      args.weight = &weight.packed;
      args.in.q = groups.data();
      const auto out = run(*kernels, args, 2, nullptr);
      for (int o = 0; o < kOutputs; ++o) {
        EXPECT_TRUE(std::isfinite(out[o])) << kernels->name;
        EXPECT_TRUE(std::isnan(out[kOutputs + o])) << kernels->name;
      }
    }
    for (const float tiny : {0.0f, 1e-38f, std::numeric_limits<float>::denorm_min()}) {
      const Int8Weight weight(*kernels, kOutputs, kInner,
                              std::vector<float>(size_t{kOutputs} * kInner, tiny));
      auto groups = quantized(*kernels, std::vector<float>(kInner, tiny), 1, kInner);
      LinearArgs args{};
      args.weight = &weight.packed;
      args.in.q = groups.data();
      for (const float out : run(*kernels, args, 1, nullptr)) EXPECT_EQ(out, 0) << kernels->name;
    }
  }
}

// Channels a hundred times as large as the others, as large models have them: the others keep
// their precision, which one scale for the whole row would take.
TEST(Int8, OutlierChannelsCostLittle) {
  constexpr int kRows = 8, kOutputs = 256, kInner = 2048;
  for (const KernelTable* kernels : levels()) {
    Random random(17);
    const Int8Weight weight(*kernels, kOutputs, kInner,
                            random.normals(size_t{kOutputs} * kInner, 0.02f));
    std::vector<float> x = random.normals(size_t{kRows} * kInner);
    for (int r = 0; r < kRows; ++r) {
      for (const int channel : {17, 900, 1500}) x[size_t(r) * kInner + channel] *= 100;
    }
    auto groups = quantized(*kernels, x, kRows, kInner);
    LinearArgs args{};
    args.weight = &weight.packed;
    args.in.q = groups.data();
    const auto out = run(*kernels, args, kRows, nullptr);
    double error = 0, by_row = 0, size = 0;
    for (int r = 0; r < kRows; ++r) {
      const float* row = &x[size_t(r) * kInner];
      double scale = 0;
      for (int k = 0; k < kInner; ++k) scale = std::max(scale, std::fabs(double{row[k]}) / 127);
      for (int o = 0; o < kOutputs; ++o) {
        double exact = 0, rounded = 0;
        for (int k = 0; k < kInner; ++k) {
          const double w = weight.exact[size_t(o) * kInner + k];
          exact += double{row[k]} * w;
          rounded += std::nearbyint(row[k] / scale) * scale * w;
        }
        error += std::pow(out[size_t(r) * kOutputs + o] - exact, 2);
        by_row += std::pow(rounded - exact, 2);
        size += exact * exact;
      }
    }
    EXPECT_LT(std::sqrt(error / size), 0.02) << kernels->name;
    EXPECT_LT(std::sqrt(error / by_row), 0.5) << kernels->name;
  }
}

}  // namespace
}  // namespace tensormill::testing
