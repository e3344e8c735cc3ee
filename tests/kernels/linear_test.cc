#include <fmt/format.h>

#include <cmath>

#include "fixture.h"
#include "tensor/tensor.h"

namespace tensormill::testing {
namespace {

DType weight_type(WeightFormat format) {
  return format == WeightFormat::kF32   ? DType::kF32
         : format == WeightFormat::kF16 ? DType::kF16
                                        : DType::kBF16;
}

const WeightFormat kFormats[] = {WeightFormat::kF32, WeightFormat::kF16, WeightFormat::kBF16};

// A weight in its packed form and as plain values.
struct Weight {
  Values values;
  Buffer bytes;
  Packed packed;

  Weight(const KernelTable& kernels, WeightFormat format, int outputs, int inner, Random& random,
         ThreadTeam* team = nullptr)
      : values(weight_type(format), random.normals(static_cast<size_t>(outputs) * inner)),
        bytes(kernels.packed_bytes(format, outputs, inner), "weight"),
        packed{bytes.data(), format, outputs, inner} {
    const PackSource source{values.data(), values.type, false, outputs, inner, nullptr, 0, outputs};
    kernels.pack({source, bytes.data(), format, outputs, inner}, cpu_stream(team));
  }
};

double reference(Activation act, double x) {
  switch (act) {
    case Activation::kNone:
      return x;
    case Activation::kRelu:
      return x > 0 ? x : 0;
    case Activation::kGelu:
      return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case Activation::kGeluTanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::kQuickGelu:
      return x / (1 + std::exp(-1.702 * x));
    case Activation::kSilu:
      return x / (1 + std::exp(-x));
    case Activation::kTanh:
      return std::tanh(x);
  }
  return 0;
}

std::vector<uint8_t> run(const KernelTable& kernels, LinearArgs args, int rows, DType out_type,
                         ThreadTeam* team) {
  const int width = args.gated ? args.weight->outputs / 2 : args.weight->outputs;
  std::vector<uint8_t> out(static_cast<size_t>(rows) * width * dtype_size(out_type) + 1, 0xee);
  args.out = {out.data(), out_type, width};
  args.live = {&rows, rows};
  kernels.linear(args, cpu_stream(team));
  EXPECT_EQ(out.back(), 0xee) << "written past the end";
  out.pop_back();
  return out;
}

struct ProductShape {
  int rows, outputs, inner;
  bool in_place = false;  // added onto the addend
};

void check_product(const KernelTable& kernels, WeightFormat format, const ProductShape& shape,
                   ThreadTeam* team) {
  SCOPED_TRACE(fmt::format("{} format {} {} x {} x {}", kernels.name, int(format), shape.rows,
                           shape.outputs, shape.inner));
  Random random(7);
  Weight weight(kernels, format, shape.outputs, shape.inner, random, team);
  const size_t inputs = static_cast<size_t>(shape.rows) * shape.inner;
  Values in(kernels.types(format).input, random.normals(inputs));
  const auto bias = random.normals(static_cast<size_t>(shape.outputs));
  const auto addend = random.normals(static_cast<size_t>(shape.rows) * shape.outputs);
  LinearArgs args{};
  args.weight = &weight.packed;
  args.bias = bias.data();
  args.addend = addend.data();
  args.in = {in.data(), in.type, shape.inner};
  std::vector<float> out = addend;
  if (shape.in_place) {
    args.addend = out.data();
    args.out = {out.data(), DType::kF32, shape.outputs};
    args.live = {&shape.rows, shape.rows};
    kernels.linear(args, cpu_stream(team));
  } else {
    out = read_values(DType::kF32, run(kernels, args, shape.rows, DType::kF32, team).data(),
                      out.size());
  }
  // Some outputs stand for all where there are too many for the time at hand.
  const int64_t products = int64_t{shape.rows} * shape.outputs * shape.inner;
  const int step = on_gpu(kernels) && products > 1'000'000 ? 13 : 1;
  for (int r = 0; r < shape.rows; ++r) {
    for (int o = r % step; o < shape.outputs; o += step) {
      double sum = double{bias[o]} + addend[size_t(r) * shape.outputs + o], size = 1;
      for (int k = 0; k < shape.inner; ++k) {
        const double product = double{in.exact[size_t(r) * shape.inner + k]} *
                               weight.values.exact[size_t(o) * shape.inner + k];
        sum += product;
        size += std::fabs(product);
      }
      ASSERT_NEAR(out[size_t(r) * shape.outputs + o], sum, looseness(kernels) * 1e-6 * size)
          << r << "," << o;
    }
  }
}

TEST(Linear, MatchesDoublePrecision) {
  const ProductShape kShapes[] = {{1, 64, 64},   {3, 70, 33},    {5, 20, 1},      {7, 130, 513},
                                  {2, 48, 1025}, {1, 576, 1536}, {13, 200, 2049}, {100, 66, 96}};
  ThreadTeam team(2);
  for (const KernelTable* kernels : all_tables()) {
    for (const WeightFormat format : kFormats) {
      for (const ProductShape& shape : kShapes) check_product(*kernels, format, shape, &team);
    }
  }
}

// out = addend + product, where the two are one array.
TEST(Linear, AddsInPlace) {
  ThreadTeam team(2);
  for (const KernelTable* kernels : all_tables()) {
    for (const WeightFormat format : kFormats) {
      for (const int rows : {1, 5, 16, 64, 300}) {
        check_product(*kernels, format, {rows, 136, 264, true}, &team);
      }
      check_product(*kernels, format, {7, 33, 21, true}, &team);
    }
  }
}

// The row counts at which a GPU changes its way, with whole and odd sizes.
TEST(Linear, EveryWayOfAGpu) {
  for (const KernelTable* kernels : mirrors()) {
    for (const WeightFormat format : kFormats) {
      for (const int rows : {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 64, 100, 128, 129, 200}) {
        check_product(*kernels, format, {rows, 136, 520}, nullptr);
      }
      for (const int rows : {1, 5, 16, 33}) {
        check_product(*kernels, format, {rows, 64, 8}, nullptr);
        check_product(*kernels, format, {rows, 1, 256}, nullptr);
        check_product(*kernels, format, {rows, 33, 4104}, nullptr);
        check_product(*kernels, format, {rows, 1026, 768}, nullptr);
        check_product(*kernels, format, {rows, 96, 11008}, nullptr);
      }
      check_product(*kernels, format, {520, 256, 264}, nullptr);
    }
    // Weights large enough for the ways of large ones, with whole and odd vocabularies.
    const ProductShape kLarge[] = {
        {17, 2052, 4104}, {64, 2052, 4104}, {33, 8195, 1032}, {20, 25501, 336}, {70, 25501, 336}};
    for (const ProductShape& shape : kLarge) {
      check_product(*kernels, WeightFormat::kBF16, shape, nullptr);
    }
  }
}

void check_activations(const KernelTable& kernels, WeightFormat format, const ProductShape& shape) {
  const Activation kAll[] = {Activation::kNone,     Activation::kRelu,      Activation::kGelu,
                             Activation::kGeluTanh, Activation::kQuickGelu, Activation::kSilu,
                             Activation::kTanh};
  const int rows = shape.rows, outputs = shape.outputs, inner = shape.inner;
  Random random(11);
  Weight weight(kernels, format, outputs, inner, random);
  Values in(kernels.types(format).input, random.normals(size_t(rows) * inner));
  // A GPU may add up in another order for another activation.
  const double unit = on_gpu(kernels) ? 2e-7 * std::sqrt(inner) : 2e-7;
  for (const Activation act : kAll) {
    for (const bool gated : {false, true}) {
      for (const DType type : kFloats) {
        SCOPED_TRACE(fmt::format("{} format {} {} rows act {} gated {} {}", kernels.name,
                                 int(format), rows, int(act), gated, dtype_name(type)));
        LinearArgs args{};
        args.weight = &weight.packed;
        args.in = {in.data(), in.type, inner};
        const auto plain = run(kernels, args, rows, DType::kF32, nullptr);
        const auto sums = read_values(DType::kF32, plain.data(), size_t(rows) * outputs);
        args.act = act;
        args.gated = gated;
        const int width = gated ? outputs / 2 : outputs;
        const auto bytes = run(kernels, args, rows, type, nullptr);
        const auto out = read_values(type, bytes.data(), static_cast<size_t>(rows) * width);
        for (int i = 0; i < rows * width; ++i) {
          const double expected =
              gated ? reference(act, sums[2 * i]) * sums[2 * i + 1] : reference(act, sums[i]);
          const double scale = gated
                                   ? (1 + std::fabs(sums[2 * i])) * (1 + std::fabs(sums[2 * i + 1]))
                                   : 1 + std::fabs(sums[i]);
          const double slack = rounding(type, expected) + unit * scale;
          ASSERT_NEAR(out[i], expected, slack) << "at " << i << " of " << sums[i];
        }
      }
    }
  }
}

TEST(Linear, EveryActivationAndOutputType) {
  for (const KernelTable* kernels : all_tables()) {
    check_activations(*kernels, WeightFormat::kF32, {5, 66, 20});
  }
  for (const KernelTable* kernels : mirrors()) {
    for (const WeightFormat format : kFormats) {
      for (const int rows : {1, 9, 40, 150}) check_activations(*kernels, format, {rows, 144, 64});
      check_activations(*kernels, format, {3, 66, 21});
    }
  }
}

// out = softcap * tanh(scale * out / softcap), each part alone and both, after act and gate.
TEST(Linear, ScaleAndCap) {
  constexpr int kRows = 7, kOutputs = 70, kInner = 20;
  for (const KernelTable* kernels : all_tables()) {
    Random random(15);
    Weight weight(*kernels, WeightFormat::kF32, kOutputs, kInner, random);
    Values in(DType::kF32, random.normals(kRows * kInner));
    for (const bool gated : {false, true}) {
      LinearArgs args{};
      args.weight = &weight.packed;
      args.in = {in.data(), in.type, kInner};
      args.act = Activation::kSilu;
      args.gated = gated;
      const auto values = static_cast<size_t>(kRows * (gated ? kOutputs / 2 : kOutputs));
      const auto plain =
          read_values(DType::kF32, run(*kernels, args, kRows, DType::kF32, nullptr).data(), values);
      for (const float scale : {0.0f, 0.25f, 3.0f}) {
        for (const float cap : {0.0f, 1.5f, 30.0f}) {
          args.scale = scale;
          args.softcap = cap;
          const auto out = read_values(
              DType::kF32, run(*kernels, args, kRows, DType::kF32, nullptr).data(), values);
          for (size_t i = 0; i < values; ++i) {
            double want = double{plain[i]} * (scale == 0 ? 1 : scale);
            if (cap > 0) want = cap * std::tanh(want / cap);
            // A GPU's sums may come in another order with a cap.
            const double slack = 5e-7 * std::fabs(want) + (on_gpu(*kernels) ? 1e-5 : 0);
            ASSERT_NEAR(out[i], want, slack) << kernels->name << " " << plain[i];
          }
        }
      }
    }
  }
}

// The cap's tanh over its whole range, through an addend to a product of zeros.
TEST(Linear, CapIsAccurate) {
  constexpr int kRows = 500, kOutputs = 64;
  std::vector<float> x(size_t{kRows} * kOutputs);
  for (size_t i = 0; i < x.size(); ++i) {
    const double power = -12.0 + 13.5 * static_cast<double>(i) / static_cast<double>(x.size());
    x[i] = static_cast<float>((i % 2 == 0 ? 1 : -1) * std::pow(10, power));
  }
  x[0] = INFINITY;
  x[1] = -INFINITY;
  x[2] = 0;
  for (const KernelTable* kernels : all_tables()) {
    Random random(15);
    Weight weight(*kernels, WeightFormat::kF32, kOutputs, 1, random);
    Values in(DType::kF32, std::vector<float>(kRows));
    LinearArgs args{};
    args.weight = &weight.packed;
    args.in = {in.data(), in.type, 1};
    args.addend = x.data();
    args.softcap = 1;
    const auto out =
        read_values(DType::kF32, run(*kernels, args, kRows, DType::kF32, nullptr).data(), x.size());
    for (size_t i = 0; i < x.size(); ++i) {
      const double want = std::tanh(double{x[i]});
      ASSERT_NEAR(out[i], want, looseness(*kernels) * 3e-7 * std::fabs(want))
          << kernels->name << " of " << x[i];
    }
  }
}

// A row's bits depend neither on how many rows come along nor on the threads.
TEST(Linear, RowsKeepTheirBits) {
  constexpr int kMost = 512, kOutputs = 196, kInner = 1100;
  for (const KernelTable* kernels : levels()) {
    for (const WeightFormat format : kFormats) {
      Random random(3);
      Weight weight(*kernels, format, kOutputs, kInner, random);
      Values in(kernels->types(format).input, random.normals(size_t{kMost} * kInner));
      LinearArgs args{};
      args.weight = &weight.packed;
      args.in = {in.data(), in.type, kInner};
      std::vector<uint8_t> alone;
      const size_t row_bytes = kInner * dtype_size(in.type);
      for (int r = 0; r < kMost; ++r) {
        args.in.x = in.bytes.data() + r * row_bytes;
        const auto row = run(*kernels, args, 1, DType::kF32, nullptr);
        alone.insert(alone.end(), row.begin(), row.end());
      }
      args.in.x = in.data();
      for (const int threads : {1, 2, 3, 4}) {
        ThreadTeam team(threads);
        for (int rows = 1; rows <= kMost;
             rows = rows < 64 ? rows + (threads == 1 ? 1 : 7) : rows * 8) {
          const auto together = run(*kernels, args, rows, DType::kF32, &team);
          ASSERT_EQ(std::memcmp(together.data(), alone.data(), together.size()), 0)
              << kernels->name << " format " << int(format) << " rows " << rows << " threads "
              << threads;
        }
      }
    }
  }
}

// Where products and sums are near the least normal number, or below it.
TEST(Linear, TinyValuesKeepTheirBits) {
  constexpr int kRows = 20, kOutputs = 70, kInner = 1100;
  constexpr float kTiny = 1e-19f;
  for (const KernelTable* kernels : levels()) {
    for (const WeightFormat format : {WeightFormat::kF32, WeightFormat::kBF16}) {
      Random random(23);
      std::vector<float> exact = random.normals(size_t{kOutputs} * kInner, kTiny);
      for (size_t i = 0; i < exact.size(); i += 3) exact[i] *= kTiny;  // denormals of their own
      Values values(weight_type(format), exact);
      const Buffer bytes(kernels->packed_bytes(format, kOutputs, kInner), "weight");
      kernels->pack({{values.data(), values.type, false, kOutputs, kInner, nullptr, 0, kOutputs},
                     bytes.data(),
                     format,
                     kOutputs,
                     kInner},
                    nullptr);
      const Packed packed{bytes.data(), format, kOutputs, kInner};
      Values in(kernels->types(format).input, random.normals(size_t{kRows} * kInner, kTiny));
      LinearArgs args{};
      args.weight = &packed;
      args.in = {in.data(), in.type, kInner};
      const auto together = run(*kernels, args, kRows, DType::kF32, nullptr);
      const size_t row_bytes = kInner * dtype_size(in.type), out_bytes = kOutputs * sizeof(float);
      for (int r = 0; r + 1 < kRows; ++r) {
        args.in.x = in.bytes.data() + r * row_bytes;
        const int count = 1 + r % 2;
        const auto few = run(*kernels, args, count, DType::kF32, nullptr);
        ASSERT_EQ(std::memcmp(few.data(), together.data() + r * out_bytes, few.size()), 0)
            << kernels->name << " format " << int(format) << " row " << r;
      }
    }
  }
}

// One output is the sum of segments, each a chain in ascending order: the order table.h promises.
TEST(Linear, KeepsTheOrderOfSums) {
  for (const int inner : {300, 1000, 2500}) {
    for (const KernelTable* kernels : levels()) {
      Random random(5);
      Weight weight(*kernels, WeightFormat::kF32, 65, inner, random);
      Values in(DType::kF32, random.normals(static_cast<size_t>(inner)));
      LinearArgs args{};
      args.weight = &weight.packed;
      args.in = {in.data(), in.type, inner};
      const auto out =
          read_values(DType::kF32, run(*kernels, args, 1, DType::kF32, nullptr).data(), 65);
      const bool fused = std::string(kernels->name) != "portable";
      const int segment = inner <= kSegment ? kShortSegment : kSegment;
      for (int o = 0; o < 65; ++o) {
        float total = 0;
        for (int begin = 0; begin < inner; begin += segment) {
          float sum = 0;
          for (int k = begin; k < std::min(inner, begin + segment); ++k) {
            const float x = in.exact[k], w = weight.values.exact[size_t(o) * inner + k];
            volatile float product = w * x;  // not to be contracted
            sum = fused ? std::fma(w, x, sum) : product + sum;
          }
          total = begin == 0 ? sum : total + sum;
        }
        ASSERT_EQ(out[o], total) << kernels->name << " inner " << inner << " output " << o;
      }
    }
  }
}

// What one tile instruction adds, as Intel documents it: even and odd inputs apart, then the two.
float tile_sum(const float* x, const float* w, int count) {
  float even = 0, odd = 0;
  for (int k = 0; k < count; k += 2) {
    even = std::fma(x[k], w[k], even);
    if (k + 1 < count) odd = std::fma(x[k + 1], w[k + 1], odd);
  }
  return even + odd;
}

TEST(Linear, TilesKeepTheOrderOfSums) {
  const KernelTable* kernels = cpu_kernels("avx512_amx");
  if (kernels == nullptr) GTEST_SKIP() << "this machine has no AMX";
  constexpr int kOutputs = 65, kDepth = 32;
  for (const int inner : {300, 1000, 2500}) {
    Random random(5);
    const Weight weight(*kernels, WeightFormat::kBF16, kOutputs, inner, random);
    Values in(DType::kBF16, random.normals(static_cast<size_t>(inner)));
    LinearArgs args{};
    args.weight = &weight.packed;
    args.in = {in.data(), in.type, inner};
    const auto out =
        read_values(DType::kF32, run(*kernels, args, 1, DType::kF32, nullptr).data(), kOutputs);
    const int segment = inner <= kSegment ? kShortSegment : kSegment;
    for (int o = 0; o < kOutputs; ++o) {
      const float* w = &weight.values.exact[size_t(o) * inner];
      float total = 0;
      for (int begin = 0; begin < inner; begin += segment) {
        const int end = std::min(inner, begin + segment);
        float sum = 0;
        for (int k = begin; k < end; k += kDepth) {
          sum += tile_sum(&in.exact[k], w + k, std::min(kDepth, end - k));
        }
        total += sum;
      }
      ASSERT_EQ(out[o], total) << "inner " << inner << " output " << o;
    }
  }
}

// Where element (row, k) of a packed weight lies, in elements.
struct Layout {
  bool rows;  // as on GPUs: rows one after another
  int depth;  // of a row, with what fills it up
  int pair;   // inner elements that lie side by side in a panel

  Layout(const KernelTable& kernels, WeightFormat format, int inner)
      : rows(on_gpu(kernels)), pair(format == WeightFormat::kBF16 ? 2 : 1) {
    depth = rows ? static_cast<int>(packed_row(format, inner)) : (inner + pair - 1) / pair * pair;
  }
  size_t at(int row, int k) const {
    if (rows) return size_t(row) * depth + k;
    return (size_t(row / 64) * depth + k / pair * pair) * 64 + row % 64 * pair + k % pair;
  }
};

TEST(Linear, PacksPartsInAnyOrder) {
  constexpr int kInner = 37;
  for (const KernelTable* kernels : all_tables()) {
    for (const WeightFormat format : kFormats) {
      for (const DType stored : kFloats) {
        Random random(9);
        // gate and up, interleaved, and after them a transposed matrix in reverse order
        Values gate(stored, random.normals(50 * kInner)), up(stored, random.normals(50 * kInner));
        Values tail(stored, random.normals(kInner * 9));
        const int outputs = 109;
        Buffer bytes(kernels->packed_bytes(format, outputs, kInner), "weight");
        // A GPU's memory is zeroed when it is taken.
        if (!on_gpu(*kernels)) std::memset(bytes.data(), 0x55, bytes.size());
        std::vector<int32_t> gate_map(100, -1), up_map(100, -1), tail_map(9);
        for (int i = 0; i < 50; ++i) gate_map[2 * i] = up_map[2 * i + 1] = i;
        for (int i = 0; i < 9; ++i) tail_map[i] = 8 - i;
        ThreadTeam team(3);
        const auto pack = [&](PackSource source) {
          kernels->pack({source, bytes.data(), format, outputs, kInner}, cpu_stream(&team));
        };
        pack({gate.data(), stored, false, 50, kInner, gate_map.data(), 0, 100});
        pack({up.data(), stored, false, 50, kInner, up_map.data(), 0, 100});
        pack({tail.data(), stored, true, 9, kInner, tail_map.data(), 100, 9});
        const DType type = weight_type(format);
        const Layout layout(*kernels, format, kInner);
        const auto packed = read_values(type, bytes.data(), bytes.size() / dtype_size(type));
        for (int row = 0; row < (layout.rows ? outputs : 128); ++row) {
          for (int k = 0; k < layout.depth; ++k) {
            float source = 0;
            if (k < kInner && row < 100) {
              source = (row % 2 == 0 ? gate : up).exact[size_t(row / 2) * kInner + k];
            } else if (k < kInner && row < outputs) {
              source = tail.exact[size_t(k) * 9 + (108 - row)];
            }
            const float expected = Values(type, {source}).exact[0];
            ASSERT_EQ(packed[layout.at(row, k)], expected)
                << kernels->name << " row " << row << " k " << k;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace tensormill::testing
