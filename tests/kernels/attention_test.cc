#include <fmt/format.h>

#include <cmath>
#include <numeric>

#include "fixture.h"
#include "tensor/tensor.h"

namespace tensormill::testing {
namespace {

struct Shape {
  int heads, kv_heads, dim;
  int value_dim = dim;
};

float bf16(float x) {
  return from_bf16(to_bf16(x));
}

// Sequences in a paged cache with shuffled blocks, and a step of query rows at their ends.
struct Case {
  Shape shape;
  DType cache_type, query_type;
  DType rounds;  // what queries and probabilities are rounded to; f32: nothing
  bool keys_by_dim;
  int64_t gap;  // elements between the values of two heads and of two blocks
  std::vector<int32_t> keys, row_begin, table;
  int table_stride = 0, rows = 0;
  std::vector<float> q, k, v;  // k and v exact: [sequence][key][kv_head][dim or value_dim]
  std::vector<uint8_t> k_bytes, v_bytes;
  std::vector<int64_t> first_key;
  std::vector<float> slopes;
  std::vector<int32_t> prefix;  // [sequences] or empty
  Score score{};

  Case(const KernelTable& kernels, Shape s, DType type, std::vector<int32_t> all_keys,
       const std::vector<int32_t>& new_rows, uint32_t seed, DType query = DType::kF32,
       int64_t between = 3)
      : shape(s),
        cache_type(type),
        query_type(query),
        keys_by_dim(kernels.keys_by_dim),
        gap(type == DType::kI8 ? 4 : between),
        keys(std::move(all_keys)) {
    Random random(seed);
    row_begin = {0};
    first_key = {0};
    int blocks = 0;
    for (size_t i = 0; i < keys.size(); ++i) {
      row_begin.push_back(row_begin.back() + new_rows[i]);
      first_key.push_back(first_key.back() + keys[i]);
      table_stride = std::max(table_stride, (keys[i] + kBlockTokens - 1) / kBlockTokens);
      blocks += (keys[i] + kBlockTokens - 1) / kBlockTokens;
    }
    rows = row_begin.back();
    rounds = query;
    if (type == DType::kBF16 && shape.dim % 2 == 0 && cpu_multiplies_bf16(kernels)) {
      rounds = DType::kBF16;
    }
    q = Values(rounds, random.normals(static_cast<size_t>(rows) * shape.heads * shape.dim)).exact;
    const size_t kv_heads = static_cast<size_t>(first_key.back()) * shape.kv_heads;
    const DType drawn = type == DType::kI8 ? DType::kF32 : type;
    Values key_values(drawn, random.normals(kv_heads * shape.dim));
    Values values(drawn, random.normals(kv_heads * shape.value_dim));
    k = key_values.exact;
    v = values.exact;
    if (type == DType::kI8) {
      for (size_t i = 0; i < kv_heads; ++i) {
        to_eighths(&k[i * shape.dim], shape.dim);
        to_eighths(&v[i * shape.value_dim], shape.value_dim);
      }
    }
    slopes.resize(static_cast<size_t>(shape.heads));
    for (int h = 0; h < shape.heads; ++h) slopes[h] = std::exp2(-0.5f * static_cast<float>(h + 1));
    score.scale = 1.0f / std::sqrt(static_cast<float>(shape.dim));
    score.causal = true;
    fill(blocks, key_values, values, random);
  }

  KvStrides k_stride() const {
    const int64_t head = kv_block(cache_type, shape.dim);
    return {head * shape.kv_heads, head};
  }
  KvStrides v_stride() const {
    const int64_t head = kv_block(cache_type, shape.value_dim) + gap;
    return {head * shape.kv_heads + gap, head};
  }

  void fill(int blocks, const Values& key_values, const Values& values, Random& random) {
    std::vector<int32_t> order(static_cast<size_t>(blocks));
    std::iota(order.begin(), order.end(), 0);
    for (size_t i = order.size(); i-- > 1;) {
      std::swap(order[i], order[static_cast<size_t>(random.below(static_cast<int>(i + 1)))]);
    }
    const size_t size = dtype_size(cache_type);
    k_bytes.assign(static_cast<size_t>(blocks * k_stride().block) * size, 0xff);  // unused: NaN
    v_bytes.assign(static_cast<size_t>(blocks * v_stride().block) * size, 0xff);
    table.assign(keys.size() * static_cast<size_t>(table_stride), 1 << 30);
    size_t next = 0;
    for (size_t s = 0; s < keys.size(); ++s) {
      for (int key = 0; key < keys[s]; ++key) {
        int32_t& block = table[s * static_cast<size_t>(table_stride) + size_t(key / kBlockTokens)];
        if (key % kBlockTokens == 0) block = order[next++];
        for (int h = 0; h < shape.kv_heads; ++h) {
          const int64_t token = key % kBlockTokens, from = row_of(s, key, h);
          if (cache_type == DType::kI8) {
            const auto head = [&](const Values& all, int dim) {
              const auto at = all.exact.begin() + from * dim;
              return std::vector<float>(at, at + dim);
            };
            write_eighths(head(key_values, shape.dim), key_byte, token,
                          &k_bytes[size_t(block * k_stride().block + h * k_stride().head)]);
            write_eighths(head(values, shape.value_dim), value_byte, token,
                          &v_bytes[size_t(block * v_stride().block + h * v_stride().head)]);
            continue;
          }
          const int64_t k_at = block * k_stride().block + h * k_stride().head +
                               token * (keys_by_dim ? 1 : shape.dim);
          const int64_t k_step = keys_by_dim ? kBlockTokens : 1;
          const int64_t v_at =
              block * v_stride().block + h * v_stride().head + token * shape.value_dim;
          for (int d = 0; d < shape.dim; ++d) {
            std::memcpy(&k_bytes[static_cast<size_t>(k_at + d * k_step) * size],
                        &key_values.bytes[static_cast<size_t>(from * shape.dim + d) * size], size);
          }
          std::memcpy(&v_bytes[static_cast<size_t>(v_at) * size],
                      &values.bytes[static_cast<size_t>(from * shape.value_dim) * size],
                      static_cast<size_t>(shape.value_dim) * size);
        }
      }
    }
  }

  int64_t row_of(size_t sequence, int key, int head) const {
    return (first_key[sequence] + key) * shape.kv_heads + head;
  }

  std::vector<uint8_t> run(const KernelTable& kernels, ThreadTeam* team, DType out_type) {
    const auto sequences = static_cast<int32_t>(keys.size());
    const int most = *std::max_element(keys.begin(), keys.end());
    const int width = shape.heads * shape.value_dim;
    std::vector<uint8_t> out(static_cast<size_t>(rows) * width * dtype_size(out_type));
    Buffer scratch(kernels.attention_scratch(rows, shape.heads, shape.value_dim, most), "scratch");
    AttentionArgs args{};
    Values queries(query_type, q);
    args.q = {queries.data(), query_type, int64_t{shape.heads} * shape.dim};
    args.row_begin = row_begin.data();
    args.keys = keys.data();
    args.heads = shape.heads;
    args.kv_heads = shape.kv_heads;
    args.dim = shape.dim;
    args.value_dim = shape.value_dim;
    args.kv = {k_bytes.data(), v_bytes.data(), cache_type,  k_stride(),
               v_stride(),     table.data(),   table_stride};
    args.score = score;
    if (!prefix.empty()) args.score.prefix = prefix.data();
    args.out = {out.data(), out_type, width};
    args.scratch = scratch.data();
    args.sequences = {&sequences, sequences};
    args.rows = {&rows, rows};
    EXPECT_TRUE(kernels.runs(args));
    kernels.attention(args, cpu_stream(team));
    return out;
  }

  bool sees(size_t sequence, int position, int key) const {
    if (!prefix.empty() && key < prefix[sequence]) return true;
    return (!score.causal || key <= position) &&
           (score.window == 0 || key > position - score.window);
  }

  double bias(int head, int position, int key) const {
    if (score.slopes == nullptr) return 0;
    const float slope = slopes[size_t(head)];
    const double term = score.bias_bf16 ? bf16(bf16(slope) * bf16(static_cast<float>(key)))
                                        : double{slope} * (key - position);
    return term * score.bias_scale;
  }

  // Of one row and head.
  struct Result {
    std::vector<double> out, size;  // [value_dim]: the sum, and that of its terms' sizes
  };

  Result expected(size_t sequence, int row, int head) const {
    const int kv_head = head / (shape.heads / shape.kv_heads);
    const int position = keys[sequence] - row_begin[sequence + 1] + row;
    std::vector<double> weights;
    Result result{std::vector<double>(static_cast<size_t>(shape.value_dim)), {}};
    result.size = result.out;
    double top = -INFINITY, sum = 0;
    for (int key = 0; key < keys[sequence]; ++key) {
      if (!sees(sequence, position, key)) {
        weights.push_back(-INFINITY);
        continue;
      }
      double dot = 0;
      for (int d = 0; d < shape.dim; ++d) {
        dot += double{q[(size_t(row) * shape.heads + head) * shape.dim + d]} *
               k[static_cast<size_t>(row_of(sequence, key, kv_head) * shape.dim + d)];
      }
      dot *= score.scale;
      if (score.softcap > 0) dot = score.softcap * std::tanh(dot / score.softcap);
      dot += bias(head, position, key);
      weights.push_back(dot);
      top = std::max(top, dot);
    }
    for (double& w : weights) sum += w = std::exp(w - top);
    for (int key = 0; key < keys[sequence]; ++key) {
      for (int d = 0; d < shape.value_dim; ++d) {
        const double term =
            weights[size_t(key)] / sum *
            v[static_cast<size_t>(row_of(sequence, key, kv_head) * shape.value_dim + d)];
        result.out[d] += term;
        result.size[d] += std::fabs(term);
      }
    }
    return result;
  }

  // What a sum of terms of that size may be off: where queries are in the cache's type, a GPU
  // rounds the probabilities to it, and so does a CPU that multiplies pairs of bf16.
  double slack(const KernelTable& kernels, double size) const {
    const double exact = looseness(kernels) * 2e-6;
    if (cache_type == DType::kI8) return exact + 0x1p-10 * size;  // queries and weights of 15 bits
    if (rounds == DType::kF32 || (!on_gpu(kernels) && rounds == DType::kF16)) return exact;
    return exact + (rounds == DType::kBF16 ? 0x1p-8 : 0x1p-11) * size;
  }

  void check(const KernelTable& kernels, ThreadTeam* team, DType out_type) {
    const auto bytes = run(kernels, team, out_type);
    const auto out =
        read_values(out_type, bytes.data(), size_t(rows) * shape.heads * shape.value_dim);
    for (size_t s = 0; s < keys.size(); ++s) {
      for (int row = row_begin[s]; row < row_begin[s + 1]; ++row) {
        for (int h = 0; h < shape.heads; ++h) {
          const auto want = expected(s, row, h);
          for (int d = 0; d < shape.value_dim; ++d) {
            ASSERT_NEAR(out[(size_t(row) * shape.heads + h) * shape.value_dim + d], want.out[d],
                        rounding(out_type, want.out[d]) + slack(kernels, want.size[d]))
                << kernels.name << " sequence " << s << " row " << row << " head " << h << " " << d;
          }
        }
      }
    }
  }

  // Rows [begin, end) of one sequence as a step of their own, after the keys before them.
  Case part(size_t sequence, int begin, int end) const {
    Case one = *this;
    const int before = keys[sequence] - (row_begin[sequence + 1] - row_begin[sequence]);
    one.keys = {before + end};
    one.rows = end - begin;
    one.row_begin = {0, one.rows};
    const auto row = q.begin() + ptrdiff_t(row_begin[sequence]) * shape.heads * shape.dim;
    one.q.assign(row + ptrdiff_t(begin) * shape.heads * shape.dim,
                 row + ptrdiff_t(end) * shape.heads * shape.dim);
    const auto blocks = table.begin() + ptrdiff_t(sequence) * table_stride;
    one.table.assign(blocks, blocks + table_stride);
    if (!prefix.empty()) one.prefix = {prefix[sequence]};
    return one;
  }
};

TEST(Attention, MatchesDoublePrecision) {
  ThreadTeam team(2);
  const Shape kShapes[] = {{4, 4, 16},     {9, 3, 20},    {6, 1, 33},   {71, 1, 8},
                           {2, 1, 64},     {2, 2, 200},   {4, 2, 8, 1}, {6, 3, 24, 40},
                           {6, 2, 40, 17}, {2, 1, 4, 512}};
  for (const KernelTable* kernels : all_tables()) {
    for (const Shape& shape : kShapes) {
      for (const DType type : kFloats) {
        SCOPED_TRACE(fmt::format("{} {}/{} x {} {}", kernels->name, shape.heads, shape.kv_heads,
                                 shape.dim, dtype_name(type)));
        Case(*kernels, shape, type, {1, 33, 300, 40, 600}, {1, 33, 3, 1, 1}, 17)
            .check(*kernels, &team, type);
      }
      if (on_gpu(*kernels)) continue;
      SCOPED_TRACE(fmt::format("{} {}/{} x {}, {} int8", kernels->name, shape.heads, shape.kv_heads,
                               shape.dim, shape.value_dim));
      Case(*kernels, shape, DType::kI8, {1, 33, 300, 40, 600}, {1, 33, 3, 1, 1}, 17)
          .check(*kernels, &team, DType::kF32);
    }
  }
}

void check_score_terms(Case& base, const KernelTable& kernels, ThreadTeam* team, DType out_type) {
  base.score.bias_scale = 1;
  const auto with = [&](const char* name, auto change) {
    SCOPED_TRACE(name);
    Case one = base;
    change(one);
    one.check(kernels, team, out_type);
  };
  with("slopes", [](Case& c) { c.score.slopes = c.slopes.data(); });
  with("scaled slopes", [](Case& c) {
    c.score.slopes = c.slopes.data();
    c.score.bias_scale = 0.2f;
  });
  with("bf16 slopes", [](Case& c) {
    c.score.slopes = c.slopes.data();
    c.score.bias_scale = 0.2f;
    c.score.bias_bf16 = true;
  });
  with("softcap", [](Case& c) { c.score.softcap = 2.5f; });
  with("not causal", [](Case& c) { c.score.causal = false; });
  for (const int window : {1, 5, 32, 256, 270}) {
    with("window", [&](Case& c) { c.score.window = window; });
  }
  with("all", [](Case& c) {
    c.score.slopes = c.slopes.data();
    c.score.softcap = 1.5f;
    c.score.window = 100;
  });
}

TEST(Attention, ScoreTerms) {
  ThreadTeam team(3);
  for (const KernelTable* kernels : all_tables()) {
    Case base(*kernels, {6, 2, 24, 20}, DType::kF32, {290, 17, 530}, {40, 17, 2}, 23);
    check_score_terms(base, *kernels, &team, DType::kF32);
    Case half(*kernels, {6, 2, 24, 20}, DType::kBF16, {290, 17, 530}, {40, 17, 2}, 23);
    check_score_terms(half, *kernels, &team, DType::kF32);
    if (on_gpu(*kernels)) continue;
    Case eighth(*kernels, {6, 2, 24, 20}, DType::kI8, {290, 17, 530}, {40, 17, 2}, 23);
    check_score_terms(eighth, *kernels, &team, DType::kF32);
  }
}

// A prefix inside, at the end of and past the rows of a step; windows before, in and after it.
void check_prefixes(Case& many, Case& few, const KernelTable& kernels, ThreadTeam* team,
                    DType out_type) {
  for (const int window : {0, 100, 700}) {
    SCOPED_TRACE(window);
    many.score.window = few.score.window = window;
    for (const int first : {0, 5, 256, 270, 290}) {
      many.prefix = {first, 20, 33, 800};
      many.check(kernels, team, out_type);
      few.prefix = {first, 39};
      few.check(kernels, team, out_type);
    }
  }
  many.score.causal = false;
  many.check(kernels, team, out_type);
}

TEST(Attention, Prefix) {
  ThreadTeam team(4);
  for (const KernelTable* kernels : all_tables()) {
    Case many(*kernels, {3, 1, 8, 12}, DType::kF32, {290, 17, 40, 900}, {40, 17, 40, 150}, 29);
    Case few(*kernels, {4, 2, 16}, DType::kF32, {900, 40}, {2, 3}, 37);  // split along the keys
    check_prefixes(many, few, *kernels, &team, DType::kF32);
    Case half(*kernels, {3, 1, 8, 12}, DType::kBF16, {290, 17, 40, 900}, {40, 17, 40, 150}, 29);
    check_prefixes(half, few, *kernels, &team, DType::kF32);
    if (on_gpu(*kernels)) continue;
    Case eighth(*kernels, {3, 1, 8, 12}, DType::kI8, {290, 17, 40, 900}, {40, 17, 40, 150}, 29);
    Case fewer(*kernels, {4, 2, 16}, DType::kI8, {900, 40}, {2, 3}, 37);
    check_prefixes(eighth, fewer, *kernels, &team, DType::kF32);
  }
}

// Queries, cache and results of one half type run on a GPU's tensor cores: steps of one row for
// each sequence, of several, and of both.
class HalfAttention : public ::testing::TestWithParam<DType> {};

TEST_P(HalfAttention, EveryWayOfAGpu) {
  const DType type = GetParam();
  const Shape kShapes[] = {{8, 2, 64},       {4, 4, 128}, {8, 1, 128},      {7, 7, 64},
                           {2, 1, 96},       {3, 3, 80},  {2, 2, 256},      {4, 2, 64, 128},
                           {4, 4, 192, 128}, {8, 1, 40},  {5, 1, 576, 512}, {6, 2, 36}};
  const struct {
    std::vector<int32_t> keys, rows;
  } kSteps[] = {{{1, 33, 300, 40, 600}, {1, 33, 3, 1, 1}},
                {{1, 32, 257, 900, 31, 64}, {1, 1, 1, 1, 1, 1}},
                {{1500}, {1}},
                {{130, 200}, {130, 70}}};
  for (const KernelTable* kernels : mirrors()) {
    for (const Shape& shape : kShapes) {
      for (const auto& step : kSteps) {
        const int64_t gap = kernels == mirrors()[0] ? 0 : 16;
        SCOPED_TRACE(fmt::format("{} {}/{} x {}, {}; {} sequences", kernels->name, shape.heads,
                                 shape.kv_heads, shape.dim, shape.value_dim, step.keys.size()));
        Case one(*kernels, shape, type, step.keys, step.rows, 17, type, gap);
        one.check(*kernels, nullptr, type);
        if (shape.dim == 64) one.check(*kernels, nullptr, DType::kF32);
      }
    }
  }
}

TEST_P(HalfAttention, ScoreTerms) {
  const DType type = GetParam();
  for (const KernelTable* kernels : mirrors()) {
    for (const Shape& shape : {Shape{4, 2, 64}, Shape{2, 2, 128}, Shape{8, 1, 24, 16}}) {
      Case base(*kernels, shape, type, {290, 17, 530, 530}, {40, 17, 1, 2}, 23, type, 0);
      check_score_terms(base, *kernels, nullptr, type);
    }
  }
}

TEST_P(HalfAttention, Prefix) {
  const DType type = GetParam();
  for (const KernelTable* kernels : mirrors()) {
    Case many(*kernels, {4, 2, 64}, type, {290, 17, 40, 900}, {40, 17, 40, 150}, 29, type, 0);
    Case few(*kernels, {2, 1, 128}, type, {900, 40}, {1, 1}, 37, type, 0);
    check_prefixes(many, few, *kernels, nullptr, type);
  }
}

INSTANTIATE_TEST_SUITE_P(Types, HalfAttention, ::testing::Values(DType::kBF16, DType::kF16),
                         [](const auto& type) { return std::string(dtype_name(type.param)); });

// The result of a row has the same bits whether its prompt comes whole, in chunks or token by
// token, on any number of threads. A prefix comes in one step.
class CacheType : public ::testing::TestWithParam<DType> {};

TEST_P(CacheType, RowsKeepTheirBits) {
  constexpr int kTokens = 700;
  const struct {
    Shape shape;
    int window, prefix;
    bool bf16;
  } kCases[] = {{{6, 2, 40}, 0, 0, false},
                {{6, 2, 40}, 300, 0, false},
                {{4, 2, 24, 56}, 0, 290, true},
                {{4, 4, 40, 12}, 50, 30, false}};
  for (const KernelTable* kernels : levels()) {
    for (const auto& c : kCases) {
      Case whole(*kernels, c.shape, GetParam(), {kTokens}, {kTokens}, 31);
      whole.score.window = c.window;
      whole.score.slopes = whole.slopes.data();
      whole.score.bias_scale = 0.5f;
      whole.score.bias_bf16 = c.bf16;
      whole.prefix = {c.prefix};
      const auto expected = whole.run(*kernels, nullptr, DType::kF32);
      const size_t row_bytes = expected.size() / kTokens;
      for (const int threads : {1, 2, 3, 4}) {
        ThreadTeam team(threads);
        ASSERT_EQ(whole.run(*kernels, &team, DType::kF32), expected) << kernels->name;
        for (const int chunk : {1, 7, 64, 333}) {
          if (threads > 2 && chunk == 7) continue;
          for (int begin = 0, end; begin < kTokens; begin = chunk == 1 ? end + 98 : end) {
            end = begin == 0 && c.prefix > 0 ? c.prefix : std::min(kTokens, begin + chunk);
            const auto out = whole.part(0, begin, end).run(*kernels, &team, DType::kF32);
            ASSERT_EQ(std::memcmp(out.data(), &expected[size_t(begin) * row_bytes], out.size()), 0)
                << kernels->name << " rows " << begin << " to " << end << " threads " << threads;
          }
        }
      }
    }
  }
}

// Nor does it matter which other sequences, with prefixes of their own, are in the step.
TEST_P(CacheType, CompanyKeepsBits) {
  for (const KernelTable* kernels : levels()) {
    for (const Shape& shape : {Shape{6, 2, 24, 40}, Shape{6, 2, 40, 17}}) {
      Case many(*kernels, shape, GetParam(), {290, 17, 600, 33, 520}, {290, 17, 1, 2, 3}, 43);
      many.prefix = {280, 17, 300, 0, 12};
      for (const int threads : {1, 3}) {
        ThreadTeam team(threads);
        const auto all = many.run(*kernels, &team, DType::kF32);
        const size_t row_bytes = all.size() / size_t(many.rows);
        for (size_t s = 0; s < many.keys.size(); ++s) {
          const int rows = many.row_begin[s + 1] - many.row_begin[s];
          const auto one = many.part(s, 0, rows).run(*kernels, &team, DType::kF32);
          ASSERT_EQ(
              std::memcmp(one.data(), &all[size_t(many.row_begin[s]) * row_bytes], one.size()), 0)
              << kernels->name << " sequence " << s << " threads " << threads;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, CacheType, ::testing::Values(DType::kBF16, DType::kI8),
                         [](const auto& type) { return std::string(dtype_name(type.param)); });

// What a key or value that is no number is part of is none; other sequences are as they were.
TEST(Attention, BytesOfNoNumber) {
  for (const KernelTable* kernels : levels()) {
    for (const bool key : {true, false}) {
      Case two(*kernels, {2, 1, 24}, DType::kI8, {40, 40}, {1, 1}, 47);
      const auto before = two.run(*kernels, nullptr, DType::kF32);
      std::vector<uint8_t>& bytes = key ? two.k_bytes : two.v_bytes;
      const int64_t block = two.table[0] * (key ? two.k_stride() : two.v_stride()).block;
      const float nan = NAN;
      std::memcpy(&bytes[size_t(block + kv_scales(24) + 7 * 4)], &nan, sizeof nan);
      const auto after = two.run(*kernels, nullptr, DType::kF32);
      const auto got = read_values(DType::kF32, after.data(), 2 * 2 * 24);
      for (int d = 0; d < 2 * 24; ++d) EXPECT_TRUE(std::isnan(got[size_t(d)])) << kernels->name;
      EXPECT_TRUE(
          std::equal(before.begin() + 2 * 24 * 4, before.end(), after.begin() + 2 * 24 * 4));
    }
  }
}

}  // namespace
}  // namespace tensormill::testing
