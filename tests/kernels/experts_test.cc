// Routing against a plain choice by sorting, and experts against `linear` on one row at a time: bit
// for bit, so no result depends on which rows share an expert or on threads.

#include <algorithm>
#include <numeric>

#include "fixture.h"

namespace tensormill::testing {
namespace {

struct RouteCase {
  int experts, active, groups, active_groups, group_best;
  ExpertScore score;
  bool bias, normalize;
};

struct RouteValues {
  std::vector<int32_t> expert, place, row, begin;
  std::vector<float> weight;

  RouteValues(int rows, int experts, int active)
      : expert(static_cast<size_t>(rows * active)),
        place(expert.size()),
        row(expert.size()),
        begin(static_cast<size_t>(experts) + 1),
        weight(expert.size()) {}
  Routes routes() { return {expert.data(), weight.data(), place.data(), row.data(), begin.data()}; }
};

// Experts of one row and their weights, in ascending order.
std::vector<std::pair<int, double>> choose(const RouteCase& c, const float* logits,
                                           const float* bias, double scale) {
  std::vector<double> score(static_cast<size_t>(c.experts)), rank = score;
  double total = 0;
  for (size_t e = 0; e < score.size(); ++e) {
    score[e] = c.score == ExpertScore::kSoftmax ? std::exp(double{logits[e]})
                                                : 1 / (1 + std::exp(-double{logits[e]}));
    total += score[e];
  }
  for (size_t e = 0; e < score.size(); ++e) {
    if (c.score == ExpertScore::kSoftmax) score[e] /= total;
    rank[e] = score[e] + (c.bias ? bias[e] : 0);
  }
  const int length = c.experts / c.groups;
  std::vector<std::pair<double, int>> groups;
  for (int g = 0; g < c.groups; ++g) {
    std::vector<double> best(rank.begin() + g * length, rank.begin() + (g + 1) * length);
    std::sort(best.rbegin(), best.rend());
    groups.emplace_back(-std::accumulate(best.begin(), best.begin() + c.group_best, 0.0), g);
  }
  std::sort(groups.begin(), groups.end());
  std::vector<std::pair<double, int>> ranked;
  for (int i = 0; i < c.active_groups; ++i) {
    for (int e = 0; e < length; ++e) {
      const int expert = groups[size_t(i)].second * length + e;
      ranked.emplace_back(-rank[size_t(expert)], expert);
    }
  }
  std::sort(ranked.begin(), ranked.end());
  std::vector<std::pair<int, double>> result;
  double sum = 0;
  for (int i = 0; i < c.active; ++i) {
    const int expert = ranked[size_t(i)].second;
    result.emplace_back(expert, score[size_t(expert)]);
    sum += score[size_t(expert)];
  }
  for (auto& [expert, weight] : result) weight *= scale / (c.normalize ? sum : 1);
  std::sort(result.begin(), result.end());
  return result;
}

void check_route(const KernelTable& kernels, const RouteCase& c, int rows, ThreadTeam* team) {
  SCOPED_TRACE(kernels.name);
  Random random(5);
  const auto logits = random.normals(static_cast<size_t>(rows * c.experts), 2);
  const auto bias = random.normals(static_cast<size_t>(c.experts));
  RouteValues values(rows, c.experts, c.active);
  const float scale = 1.5F;
  const RouteArgs args{logits.data(),   c.bias ? bias.data() : nullptr,
                       c.score,         c.experts,
                       c.active,        c.groups,
                       c.active_groups, c.group_best,
                       c.normalize,     scale,
                       values.routes(), {&rows, rows}};
  kernels.route(args, cpu_stream(team));
  std::vector<int32_t> seen(values.row.size());
  for (int row = 0; row < rows; ++row) {
    const auto expected = choose(c, &logits[size_t(row * c.experts)], bias.data(), scale);
    for (int i = 0; i < c.active; ++i) {
      const auto at = static_cast<size_t>(row * c.active + i);
      const auto& [expert, weight] = expected[size_t(i)];
      ASSERT_EQ(values.expert[at], expert) << row << ", " << i;
      EXPECT_NEAR(values.weight[at], weight, 1e-5);
      const int32_t place = values.place[at];
      ASSERT_GE(place, values.begin[size_t(expert)]);
      ASSERT_LT(place, values.begin[size_t(expert) + 1]);
      EXPECT_EQ(values.row[size_t(place)], row);
      ++seen[size_t(place)];
    }
  }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), static_cast<int64_t>(seen.size()));
  for (int e = 0; e < c.experts; ++e) {
    const auto first = values.row.begin() + values.begin[size_t(e)];
    EXPECT_TRUE(std::is_sorted(first, values.row.begin() + values.begin[size_t(e) + 1]));
  }
}

// The CPU's routing is one for all levels.
std::vector<const KernelTable*> routing_tables() {
  std::vector<const KernelTable*> all = mirrors();
  all.push_back(cpu_kernels("portable"));
  return all;
}

TEST(Route, TakesTheBestInOrder) {
  const RouteCase kCases[] = {
      {8, 2, 1, 1, 1, ExpertScore::kSoftmax, false, true},
      {7, 7, 1, 1, 1, ExpertScore::kSoftmax, false, false},
      {12, 3, 4, 2, 1, ExpertScore::kSoftmax, false, false},
      {12, 4, 3, 2, 2, ExpertScore::kSigmoid, true, true},
      {1, 1, 1, 1, 1, ExpertScore::kSigmoid, false, false},
      {kMaxExperts, 5, 1, 1, 1, ExpertScore::kSoftmax, true, false},
  };
  ThreadTeam team(3);
  for (const KernelTable* kernels : routing_tables()) {
    for (const RouteCase& c : kCases) {
      for (const int rows : {1, 33, 300}) check_route(*kernels, c, rows, nullptr);
      check_route(*kernels, c, 33, &team);
    }
  }
}

TEST(Route, ChoosesDifferentExpertsWhateverTheLogits) {
  const int rows = 1;
  const std::vector<float> logits = {NAN, INFINITY, -INFINITY, NAN};
  RouteValues values(rows, 4, 3);
  RouteArgs args{};
  args.logits = logits.data();
  args.experts = 4;
  args.active = 3;
  args.groups = args.active_groups = args.group_best = 1;
  args.scale = 1;
  args.routes = values.routes();
  args.live = {&rows, rows};
  for (const KernelTable* kernels : routing_tables()) {
    kernels->route(args, nullptr);
    EXPECT_LT(values.expert[0], values.expert[1]) << kernels->name;
    EXPECT_LT(values.expert[1], values.expert[2]) << kernels->name;
    EXPECT_LT(values.expert[2], 4) << kernels->name;
  }
}

// Weights of one shape, packed one after another.
struct Stack {
  std::vector<uint8_t> bytes;
  WeightFormat format;
  int outputs, inner;
  size_t step;  // bytes from one to the next

  Stack(const KernelTable& kernels, WeightFormat kind, int count, int rows, int columns,
        Random& random)
      : format(kind),
        outputs(rows),
        inner(columns),
        step(kernels.packed_bytes(kind, rows, columns)) {
    bytes.resize(static_cast<size_t>(count) * step);
    for (int c = 0; c < count; ++c) {
      const auto values = random.normals(static_cast<size_t>(rows * columns), 0.2F);
      kernels.pack({{values.data(), DType::kF32, false, rows, columns, nullptr, 0, rows},
                    const_cast<void*>(packed(c).data),
                    kind,
                    rows,
                    columns},
                   nullptr);
    }
  }
  Packed packed(int copy) const {
    return {bytes.data() + static_cast<size_t>(copy) * step, format, outputs, inner};
  }
};

struct MixtureShape {
  int experts = 5, active = 3, width = 75, inner = 37, rows = 40;
};

struct Mixture {
  const KernelTable& kernels;
  MixtureShape shape;
  DType type;
  WeightFormat format;
  Random random{17};
  Stack first, second;
  Values in;
  std::vector<float> addend, logits;

  Mixture(const KernelTable& table, WeightFormat kind, const MixtureShape& sizes = {})
      : kernels(table),
        shape(sizes),
        type(table.types(kind).input),
        format(kind),
        first(table, kind, shape.experts, 2 * shape.inner, shape.width, random),
        second(table, kind, shape.experts, shape.width, shape.inner, random),
        in(type, random.normals(size_t(shape.rows) * shape.width)),
        addend(random.normals(size_t(shape.rows) * shape.width)),
        logits(random.normals(size_t(shape.rows) * shape.experts)) {}

  RouteValues route(int rows) const {
    RouteValues values(rows, shape.experts, shape.active);
    RouteArgs args{};
    args.logits = logits.data();
    args.experts = shape.experts;
    args.active = shape.active;
    args.groups = args.active_groups = args.group_best = 1;
    args.scale = 1;
    args.routes = values.routes();
    args.live = {&rows, rows};
    kernels.route(args, nullptr);
    return values;
  }

  std::vector<float> run(int rows, ThreadTeam* team) {
    RouteValues values = route(rows);
    std::vector<float> out(size_t(shape.rows) * shape.width),
        value(size_t(rows * shape.active * shape.width));
    std::vector<float> taken(value.size()), inner(size_t(rows * shape.active * shape.inner));
    ExpertsArgs args{};
    args.first = first.packed(0);
    args.second = second.packed(0);
    args.act = Activation::kSilu;
    args.gated = true;
    args.experts = shape.experts;
    args.active = shape.active;
    args.routes = values.routes();
    args.in = {in.data(), type, shape.width};
    args.addend = addend.data();
    args.out = out.data();
    args.taken = {taken.data(), type, shape.width};
    args.inner = {inner.data(), type, shape.inner};
    args.value = value.data();
    args.live = {&rows, rows};
    kernels.experts(args, cpu_stream(team));
    return out;
  }

  // The same by `linear`, one row and one expert at a time.
  std::vector<float> expected(int row) {
    const RouteValues values = route(shape.rows);
    const int one = 1;
    std::vector<float> out(&addend[size_t(row) * shape.width],
                           &addend[size_t(row) * shape.width] + shape.width);
    for (size_t i = size_t(row * shape.active); i < size_t((row + 1) * shape.active); ++i) {
      std::vector<float> inner(size_t(shape.inner)), value(size_t(shape.width));
      const Packed up = first.packed(values.expert[i]), down = second.packed(values.expert[i]);
      LinearArgs args{};
      args.weight = &up;
      args.act = Activation::kSilu;
      args.gated = true;
      args.in = {static_cast<uint8_t*>(in.data()) + size_t(row) * shape.width * dtype_size(type),
                 type, shape.width};
      args.out = {inner.data(), type, shape.inner};
      args.live = {&one, one};
      kernels.linear(args, nullptr);
      args = {};
      args.weight = &down;
      args.in = {inner.data(), type, shape.inner};
      args.out = {value.data(), DType::kF32, shape.width};
      args.live = {&one, one};
      kernels.linear(args, nullptr);
      for (size_t d = 0; d < value.size(); ++d) out[d] += values.weight[i] * value[d];
    }
    return out;
  }
};

TEST(Experts, AreTheirProductsBitForBit) {
  ThreadTeam team(3);
  for (const KernelTable* kernels : levels()) {
    for (const WeightFormat format :
         {WeightFormat::kF32, WeightFormat::kBF16, WeightFormat::kF16}) {
      Mixture mixture(*kernels, format);
      for (const int rows : {1, 2, mixture.shape.rows}) {
        const std::vector<float> alone = mixture.run(rows, nullptr);
        EXPECT_EQ(alone, mixture.run(rows, &team));
        for (int row = 0; row < rows; ++row) {
          const auto at = alone.begin() + row * mixture.shape.width;
          EXPECT_EQ(std::vector<float>(at, at + mixture.shape.width), mixture.expected(row))
              << kernels->name << ", row " << row << " of " << rows;
        }
      }
    }
  }
}

// On a GPU the two ways add up in different orders, and what lies between the products is rounded
// to the input's type after that.
TEST(Experts, AreTheirProductsOnAGpu) {
  const MixtureShape kShapes[] = {
      {}, {8, 2, 128, 192, 300}, {4, 4, 72, 40, 150}, {16, 1, 64, 64, 40}};
  for (const KernelTable* kernels : mirrors()) {
    for (const WeightFormat format :
         {WeightFormat::kF32, WeightFormat::kBF16, WeightFormat::kF16}) {
      for (const MixtureShape& shape : kShapes) {
        Mixture mixture(*kernels, format, shape);
        const double slack = 1e-5 + 2 * rounding(mixture.type, 1);
        for (const int rows : {1, 2, 8, 13, shape.rows}) {
          const std::vector<float> out = mixture.run(rows, nullptr);
          for (int row = 0; row < rows; row += 1 + rows / 8) {
            const std::vector<float> expected = mixture.expected(row);
            for (int d = 0; d < shape.width; ++d) {
              ASSERT_NEAR(out[size_t(row * shape.width + d)], expected[size_t(d)], slack)
                  << kernels->name << ", row " << row << " of " << rows << ", format "
                  << int(format) << ", " << d;
            }
          }
        }
      }
    }
  }
}

TEST(Linear, ManyWeightsAtOnceAreEachAlone) {
  constexpr int kCopies = 5, kOutputs = 70, kInner = 19, kRows = 9;
  ThreadTeam team(3);
  for (const KernelTable* kernels : all_tables()) {
    for (const WeightFormat format :
         {WeightFormat::kF32, WeightFormat::kBF16, WeightFormat::kF16}) {
      Random random(3);
      const Stack stack(*kernels, format, kCopies, kOutputs, kInner, random);
      Values in(kernels->types(format).input, random.normals(size_t{kRows} * kCopies * kInner));
      std::vector<float> out(size_t{kRows} * kCopies * kOutputs), alone = out;
      const int rows = kRows;
      const Packed weight = stack.packed(0);
      LinearArgs args{};
      args.weight = &weight;
      args.in = {in.data(), in.type, kCopies * kInner};
      args.out = {out.data(), DType::kF32, kCopies * kOutputs};
      args.copies = kCopies;
      args.in_step = kInner;
      args.out_step = kOutputs;
      args.live = {&rows, rows};
      kernels->linear(args, cpu_stream(&team));
      for (int c = 0; c < kCopies; ++c) {
        const Packed one = stack.packed(c);
        args.weight = &one;
        args.copies = 1;
        args.in.x = static_cast<uint8_t*>(in.data()) + size_t(c) * kInner * dtype_size(in.type);
        args.out.x = alone.data() + c * kOutputs;
        kernels->linear(args, nullptr);
      }
      for (size_t i = 0; i < out.size(); ++i) {
        ASSERT_NEAR(out[i], alone[i], on_gpu(*kernels) ? 1e-5 : 0) << kernels->name;
      }
    }
  }
}

}  // namespace
}  // namespace tensormill::testing
