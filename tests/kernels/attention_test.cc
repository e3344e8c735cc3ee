#include <fmt/format.h>

#include <cmath>
#include <numeric>

#include "fixture.h"
#include "tensor/tensor.h"

namespace tensormill::testing {
namespace {

struct Shape {
  int heads, kv_heads, dim;
};

// Sequences in a paged cache with shuffled blocks, and a step of query rows at their ends.
struct Case {
  Shape shape;
  DType cache_type;
  std::vector<int32_t> keys, row_begin, table;
  int table_stride = 0, rows = 0;
  std::vector<float> q, k, v;  // k and v exact: [sequence][key][kv_head][dim]
  std::vector<uint8_t> k_bytes, v_bytes;
  std::vector<int64_t> first_key;
  std::vector<float> slopes;
  Score score{};

  Case(Shape s, DType type, std::vector<int32_t> all_keys, const std::vector<int32_t>& new_rows,
       uint32_t seed)
      : shape(s), cache_type(type), keys(std::move(all_keys)) {
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
    q = random.normals(static_cast<size_t>(rows) * shape.heads * shape.dim);
    const size_t kv_size = static_cast<size_t>(first_key.back()) * shape.kv_heads * shape.dim;
    Values key_values(type, random.normals(kv_size)), values(type, random.normals(kv_size));
    k = key_values.exact;
    v = values.exact;
    slopes.resize(static_cast<size_t>(shape.heads));
    for (int h = 0; h < shape.heads; ++h) slopes[h] = std::exp2(-0.5f * static_cast<float>(h + 1));
    score.scale = 1.0f / std::sqrt(static_cast<float>(shape.dim));
    score.causal = true;
    fill(blocks, key_values, values, random);
  }

  int64_t block_stride() const { return int64_t{shape.kv_heads} * head_stride(); }
  int64_t head_stride() const { return int64_t{kBlockTokens} * shape.dim; }

  void fill(int blocks, const Values& key_values, const Values& values, Random& random) {
    std::vector<int32_t> order(static_cast<size_t>(blocks));
    std::iota(order.begin(), order.end(), 0);
    for (size_t i = order.size(); i-- > 1;) {
      std::swap(order[i], order[static_cast<size_t>(random.below(static_cast<int>(i + 1)))]);
    }
    const size_t size = dtype_size(cache_type);
    k_bytes.assign(static_cast<size_t>(blocks * block_stride()) * size, 0xff);  // NaN where unused
    v_bytes = k_bytes;
    table.assign(keys.size() * static_cast<size_t>(table_stride), 1 << 30);
    size_t next = 0;
    for (size_t s = 0; s < keys.size(); ++s) {
      for (int key = 0; key < keys[s]; ++key) {
        int32_t& block = table[s * static_cast<size_t>(table_stride) + size_t(key / kBlockTokens)];
        if (key % kBlockTokens == 0) block = order[next++];
        for (int h = 0; h < shape.kv_heads; ++h) {
          for (int d = 0; d < shape.dim; ++d) {
            const auto from = static_cast<size_t>(index(s, key, h) + d);
            const int64_t at = block * block_stride() + h * head_stride();
            const int64_t token = key % kBlockTokens;
            std::memcpy(&k_bytes[static_cast<size_t>(at + d * kBlockTokens + token) * size],
                        &key_values.bytes[from * size], size);
            std::memcpy(&v_bytes[static_cast<size_t>(at + token * shape.dim + d) * size],
                        &values.bytes[from * size], size);
          }
        }
      }
    }
  }

  int64_t index(size_t sequence, int key, int head) const {
    return ((first_key[sequence] + key) * shape.kv_heads + head) * shape.dim;
  }

  std::vector<uint8_t> run(const KernelTable& kernels, ThreadTeam* team, DType out_type) {
    const auto sequences = static_cast<int32_t>(keys.size());
    const int most = *std::max_element(keys.begin(), keys.end());
    std::vector<uint8_t> out(static_cast<size_t>(rows) * shape.heads * shape.dim *
                             dtype_size(out_type));
    Buffer scratch(kernels.attention_scratch(rows, shape.heads, shape.dim, most), "scratch");
    AttentionArgs args{};
    args.q = q.data();
    args.q_stride = int64_t{shape.heads} * shape.dim;
    args.row_begin = row_begin.data();
    args.keys = keys.data();
    args.heads = shape.heads;
    args.kv_heads = shape.kv_heads;
    args.dim = shape.dim;
    args.kv = {k_bytes.data(), v_bytes.data(), cache_type,  block_stride(),
               head_stride(),  table.data(),   table_stride};
    args.score = score;
    args.out = {out.data(), out_type, args.q_stride};
    args.scratch = scratch.data();
    args.sequences = {&sequences, sequences};
    args.rows = {&rows, rows};
    EXPECT_TRUE(kernels.runs(args));
    kernels.attention(args, cpu_stream(team));
    return out;
  }

  // Attention of one row and head in double precision.
  std::vector<double> expected(size_t sequence, int row, int head) const {
    const int kv_head = head / (shape.heads / shape.kv_heads);
    const int position = keys[sequence] - row_begin[sequence + 1] + row;
    const int end = score.causal ? position + 1 : keys[sequence];
    const int begin = score.window > 0 ? std::max(0, position - score.window + 1) : 0;
    std::vector<double> weights, out(static_cast<size_t>(shape.dim));
    double top = -INFINITY, sum = 0;
    for (int key = begin; key < end; ++key) {
      double dot = 0;
      for (int d = 0; d < shape.dim; ++d) {
        dot += double{q[(size_t(row) * shape.heads + head) * shape.dim + d]} *
               k[static_cast<size_t>(index(sequence, key, kv_head) + d)];
      }
      dot *= score.scale;
      if (score.softcap > 0) dot = score.softcap * std::tanh(dot / score.softcap);
      if (score.slopes != nullptr) dot += double{slopes[head]} * (key - position);
      weights.push_back(dot);
      top = std::max(top, dot);
    }
    for (double& w : weights) sum += w = std::exp(w - top);
    for (int key = begin; key < end; ++key) {
      for (int d = 0; d < shape.dim; ++d) {
        out[d] += weights[size_t(key - begin)] / sum *
                  v[static_cast<size_t>(index(sequence, key, kv_head) + d)];
      }
    }
    return out;
  }

  void check(const KernelTable& kernels, ThreadTeam* team, DType out_type) {
    const auto bytes = run(kernels, team, out_type);
    const auto out = read_values(out_type, bytes.data(), q.size());
    for (size_t s = 0; s < keys.size(); ++s) {
      for (int row = row_begin[s]; row < row_begin[s + 1]; ++row) {
        for (int h = 0; h < shape.heads; ++h) {
          const auto want = expected(s, row, h);
          for (int d = 0; d < shape.dim; ++d) {
            ASSERT_NEAR(out[(size_t(row) * shape.heads + h) * shape.dim + d], want[d],
                        rounding(out_type, want[d]) + 2e-6)
                << kernels.name << " sequence " << s << " row " << row << " head " << h << " " << d;
          }
        }
      }
    }
  }
};

TEST(Attention, MatchesDoublePrecision) {
  ThreadTeam team(2);
  const Shape kShapes[] = {{4, 4, 16}, {9, 3, 20}, {6, 1, 33}, {71, 1, 8}, {2, 1, 64}, {2, 2, 200}};
  for (const KernelTable* kernels : levels()) {
    for (const Shape& shape : kShapes) {
      for (const DType type : kFloats) {
        SCOPED_TRACE(
            fmt::format("{}/{} x {} {}", shape.heads, shape.kv_heads, shape.dim, dtype_name(type)));
        Case(shape, type, {1, 33, 300, 40, 600}, {1, 33, 3, 1, 1}, 17).check(*kernels, &team, type);
      }
    }
  }
}

TEST(Attention, ScoreTerms) {
  ThreadTeam team(3);
  for (const KernelTable* kernels : levels()) {
    Case base({6, 2, 24}, DType::kF32, {290, 17, 530}, {40, 17, 2}, 23);
    const auto with = [&](const char* name, auto change) {
      SCOPED_TRACE(name);
      Case one = base;
      change(one);
      one.check(*kernels, &team, DType::kF32);
    };
    with("slopes", [](Case& c) { c.score.slopes = c.slopes.data(); });
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
}

// The result of a row has the same bits whether its prompt comes whole, in chunks or token by
// token, alone or with others, on any number of threads.
TEST(Attention, RowsKeepTheirBits) {
  constexpr int kTokens = 700;
  const Shape shape{6, 2, 40};
  for (const KernelTable* kernels : levels()) {
    for (const int window : {0, 300}) {
      Case whole(shape, DType::kBF16, {kTokens}, {kTokens}, 31);
      whole.score.window = window;
      whole.score.slopes = whole.slopes.data();
      const auto expected = whole.run(*kernels, nullptr, DType::kF32);
      const size_t row_bytes = expected.size() / kTokens, row_values = row_bytes / 4;
      for (const int threads : {1, 2, 3, 4}) {
        ThreadTeam team(threads);
        ASSERT_EQ(whole.run(*kernels, &team, DType::kF32), expected) << kernels->name;
        for (const int chunk : {1, 7, 64, 333}) {
          for (int begin = 0; begin < kTokens; begin += chunk == 1 ? 37 : chunk) {
            const int end = std::min(kTokens, begin + chunk);
            Case part = whole;
            part.keys = {end};
            part.rows = end - begin;
            part.row_begin = {0, part.rows};
            part.q.assign(whole.q.begin() + static_cast<ptrdiff_t>(begin * row_values),
                          whole.q.begin() + static_cast<ptrdiff_t>(end * row_values));
            const auto out = part.run(*kernels, &team, DType::kF32);
            ASSERT_EQ(std::memcmp(out.data(), &expected[size_t(begin) * row_bytes], out.size()), 0)
                << kernels->name << " rows " << begin << " to " << end << " threads " << threads;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace tensormill::testing
