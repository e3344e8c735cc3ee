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

void check_route(const RouteCase& c, ThreadTeam* team) {
  const int rows = 33;
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
  cpu_kernels("portable")->route(args, cpu_stream(team));
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

TEST(Route, TakesTheBestInOrder) {
  ThreadTeam team(3);
  for (ThreadTeam* threads : {static_cast<ThreadTeam*>(nullptr), &team}) {
    check_route({8, 2, 1, 1, 1, ExpertScore::kSoftmax, false, true}, threads);
    check_route({7, 7, 1, 1, 1, ExpertScore::kSoftmax, false, false}, threads);
    check_route({12, 3, 4, 2, 1, ExpertScore::kSoftmax, false, false}, threads);
    check_route({12, 4, 3, 2, 2, ExpertScore::kSigmoid, true, true}, threads);
    check_route({1, 1, 1, 1, 1, ExpertScore::kSigmoid, false, false}, threads);
    check_route({kMaxExperts, 5, 1, 1, 1, ExpertScore::kSoftmax, true, false}, threads);
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
  cpu_kernels("portable")->route(args, nullptr);
  EXPECT_LT(values.expert[0], values.expert[1]);
  EXPECT_LT(values.expert[1], values.expert[2]);
  EXPECT_LT(values.expert[2], 4);
}

// Weights of one shape, packed one after another.
struct Stack {
  std::vector<uint8_t> bytes;
  WeightFormat format;
  int outputs, inner;

  Stack(const KernelTable& kernels, WeightFormat kind, int count, int rows, int columns,
        Random& random)
      : format(kind), outputs(rows), inner(columns) {
    bytes.resize(static_cast<size_t>(count) * panel_bytes(kind, rows, columns));
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
    const size_t at = static_cast<size_t>(copy) * panel_bytes(format, outputs, inner);
    return {bytes.data() + at, format, outputs, inner};
  }
};

DType input_type(WeightFormat format) {
  return format == WeightFormat::kBF16 ? DType::kBF16 : DType::kF32;
}

struct Mixture {
  static constexpr int kExperts = 5, kActive = 3, kWidth = 75, kInner = 37, kRows = 40;
  const KernelTable& kernels;
  WeightFormat format;
  Random random{17};
  Stack first, second;
  Values in;
  std::vector<float> addend, logits;

  Mixture(const KernelTable& table, WeightFormat kind)
      : kernels(table),
        format(kind),
        first(table, kind, kExperts, 2 * kInner, kWidth, random),
        second(table, kind, kExperts, kWidth, kInner, random),
        in(input_type(kind), random.normals(size_t{kRows} * kWidth)),
        addend(random.normals(size_t{kRows} * kWidth)),
        logits(random.normals(size_t{kRows} * kExperts)) {}

  RouteValues route(int rows) const {
    RouteValues values(rows, kExperts, kActive);
    RouteArgs args{};
    args.logits = logits.data();
    args.experts = kExperts;
    args.active = kActive;
    args.groups = args.active_groups = args.group_best = 1;
    args.scale = 1;
    args.routes = values.routes();
    args.live = {&rows, rows};
    kernels.route(args, nullptr);
    return values;
  }

  std::vector<float> run(int rows, ThreadTeam* team) {
    RouteValues values = route(rows);
    const DType type = input_type(format);
    std::vector<float> out(size_t{kRows} * kWidth), value(size_t(rows * kActive * kWidth));
    std::vector<float> taken(value.size()), inner(size_t(rows * kActive * kInner));
    ExpertsArgs args{};
    args.first = first.packed(0);
    args.second = second.packed(0);
    args.act = Activation::kSilu;
    args.gated = true;
    args.experts = kExperts;
    args.active = kActive;
    args.routes = values.routes();
    args.in = {in.data(), type, kWidth};
    args.addend = addend.data();
    args.out = out.data();
    args.taken = {taken.data(), type, kWidth};
    args.inner = {inner.data(), type, kInner};
    args.value = value.data();
    args.live = {&rows, rows};
    kernels.experts(args, cpu_stream(team));
    return out;
  }

  // The same by `linear`, one row and one expert at a time.
  std::vector<float> expected(int row) {
    const RouteValues values = route(kRows);
    const DType type = input_type(format);
    const int one = 1;
    std::vector<float> out(&addend[size_t(row) * kWidth], &addend[size_t(row) * kWidth] + kWidth);
    for (size_t i = size_t(row) * kActive; i < size_t(row + 1) * kActive; ++i) {
      std::vector<float> inner(kInner), value(kWidth);
      const Packed up = first.packed(values.expert[i]), down = second.packed(values.expert[i]);
      LinearArgs args{};
      args.weight = &up;
      args.act = Activation::kSilu;
      args.gated = true;
      args.in = {static_cast<uint8_t*>(in.data()) + size_t(row) * kWidth * dtype_size(type), type,
                 kWidth};
      args.out = {inner.data(), type, kInner};
      args.live = {&one, one};
      kernels.linear(args, nullptr);
      args = {};
      args.weight = &down;
      args.in = {inner.data(), type, kInner};
      args.out = {value.data(), DType::kF32, kWidth};
      args.live = {&one, one};
      kernels.linear(args, nullptr);
      for (size_t d = 0; d < kWidth; ++d) out[d] += values.weight[i] * value[d];
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
      for (const int rows : {1, 2, Mixture::kRows}) {
        const std::vector<float> alone = mixture.run(rows, nullptr);
        EXPECT_EQ(alone, mixture.run(rows, &team));
        for (int row = 0; row < rows; ++row) {
          const auto at = alone.begin() + row * Mixture::kWidth;
          EXPECT_EQ(std::vector<float>(at, at + Mixture::kWidth), mixture.expected(row))
              << kernels->name << ", row " << row << " of " << rows;
        }
      }
    }
  }
}

TEST(Linear, ManyWeightsAtOnceAreEachAlone) {
  constexpr int kCopies = 5, kOutputs = 70, kInner = 19, kRows = 9;
  ThreadTeam team(3);
  for (const KernelTable* kernels : levels()) {
    for (const WeightFormat format : {WeightFormat::kF32, WeightFormat::kBF16}) {
      Random random(3);
      const Stack stack(*kernels, format, kCopies, kOutputs, kInner, random);
      Values in(input_type(format), random.normals(size_t{kRows} * kCopies * kInner));
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
      EXPECT_EQ(out, alone) << kernels->name;
    }
  }
}

}  // namespace
}  // namespace tensormill::testing
