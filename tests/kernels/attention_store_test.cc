#include <fmt/format.h>

#include <numeric>

#include "fixture.h"
#include "tensor/tensor.h"

namespace tensormill::testing {
namespace {

struct Shape {
  int heads, kv_heads, dim;
  int value_dim = dim;
};

struct Variant {
  const char* name;
  int rope_dim = 0, rope_axes = 1;  // 0: none
  bool neighbours = false;
  float clip = 0;
  NormKind norm = NormKind::kNone;
  HeadNorm span = HeadNorm::kHead;
  int log_n = 0, window = 0;
};

// For each sequence its keys and how many of them are new.
struct Step {
  std::vector<int32_t> keys, rows;
};

struct Types {
  DType cache, query, qkv;
};

// What a step leaves: the cache and the result.
struct Left {
  std::vector<uint8_t> k, v, out;
  bool operator==(const Left&) const = default;
};

// `count` values, a few thousand of them over and over: a cache has many.
std::vector<float> many(Random& random, size_t count) {
  const std::vector<float> some = random.normals(4099);
  std::vector<float> all(count);
  for (size_t i = 0; i < count; ++i) all[i] = some[i % some.size()];
  return all;
}

// Arguments of a step on a cache that holds something everywhere, also where the new tokens go.
class Case {
 public:
  Case(const Shape& shape, const Variant& variant, const Types& types, const Step& step)
      : shape_(shape),
        variant_(variant),
        types_(types),
        keys_(step.keys),
        width_((shape.heads + shape.kv_heads) * shape.dim + shape.kv_heads * shape.value_dim),
        random_(11),
        k_(types.cache, many(random_, fill_table(step) * static_cast<size_t>(k_stride().block))),
        v_(types.cache, many(random_, static_cast<size_t>(blocks_ * v_stride().block))),
        qkv_(types.qkv, many(random_, static_cast<size_t>(rows_ * width_))) {
    const auto turning = static_cast<size_t>(variant.rope_dim * variant.rope_axes);
    angles_ = random_.normals(static_cast<size_t>(rows_) * turning + 1);
    for (int part = 0; part < 2; ++part) {
      const int heads = part == 0 ? shape.heads : shape.kv_heads;
      const int span = variant.span == HeadNorm::kHead ? 1 : heads;
      weights_[part] = random_.normals(static_cast<size_t>(span * shape.dim));
      shifts_[part] = random_.normals(weights_[part].size());
    }
  }

  // In one call, or in two.
  Left run(const KernelTable& kernels, ThreadTeam* team, bool together) const {
    Left left{k_.bytes, v_.bytes, {}};
    std::vector<uint8_t> q(size_t(rows_) * shape_.heads * shape_.dim * dtype_size(types_.query));
    left.out.resize(size_t(rows_) * shape_.heads * shape_.value_dim * sizeof(float));
    Buffer scratch(kernels.attention_scratch(rows_, shape_.heads, shape_.value_dim, most_keys()),
                   "scratch");
    ToCacheArgs store = store_args(left, q);
    AttentionArgs args = attention_args(store, left, scratch);
    if (together) {
      args.store = &store;
    } else {
      kernels.to_cache(store, cpu_stream(team));
    }
    kernels.attention(args, cpu_stream(team));
    return left;
  }

 private:
  KvStrides k_stride() const {
    const int64_t head = int64_t{kBlockTokens} * shape_.dim;
    return {head * shape_.kv_heads, head};
  }
  KvStrides v_stride() const {
    const int64_t head = int64_t{kBlockTokens} * shape_.value_dim + 8;
    return {head * shape_.kv_heads + 16, head};
  }
  int32_t most_keys() const { return *std::max_element(keys_.begin(), keys_.end()); }

  // Rows, and blocks in descending order; how many blocks there are.
  size_t fill_table(const Step& step) {
    for (size_t s = 0; s < keys_.size(); ++s) {
      for (int32_t row = 0; row < step.rows[s]; ++row) {
        sequence_.push_back(static_cast<int32_t>(s));
        slots_.push_back(keys_[s] - step.rows[s] + row);
      }
      row_begin_.push_back(row_begin_.back() + step.rows[s]);
      blocks_ += (keys_[s] + kBlockTokens - 1) / kBlockTokens;
    }
    rows_ = row_begin_.back();
    stride_ = (most_keys() + kBlockTokens - 1) / kBlockTokens;
    table_.assign(keys_.size() * static_cast<size_t>(stride_), -1);
    int32_t next = blocks_;
    for (size_t s = 0; s < keys_.size(); ++s) {
      for (int32_t b = 0; b * kBlockTokens < keys_[s]; ++b) {
        table_[s * static_cast<size_t>(stride_) + static_cast<size_t>(b)] = --next;
      }
    }
    return static_cast<size_t>(blocks_);
  }

  Norm norm(int part) const {
    const bool shifted = variant_.norm == NormKind::kLayer;
    return {variant_.norm, weights_[part].data(), shifted ? shifts_[part].data() : nullptr, 1e-5f};
  }

  ToCacheArgs store_args(Left& left, std::vector<uint8_t>& q) const {
    ToCacheArgs args{};
    args.qkv = {const_cast<uint8_t*>(qkv_.bytes.data()), types_.qkv, width_};
    args.heads = shape_.heads;
    args.kv_heads = shape_.kv_heads;
    args.dim = shape_.dim;
    args.value_dim = shape_.value_dim;
    args.clip = variant_.clip;
    args.q_norm = norm(0);
    args.k_norm = norm(1);
    args.norm_span = variant_.span;
    args.cos_sin = variant_.rope_dim > 0 ? angles_.data() : nullptr;
    args.rope_dim = variant_.rope_dim;
    args.rope_axes = variant_.rope_axes;
    args.neighbours = variant_.neighbours;
    args.log_n = variant_.log_n;
    args.row_sequence = sequence_.data();
    args.slots = slots_.data();
    args.q = {q.data(), types_.query, int64_t{shape_.heads} * shape_.dim};
    args.kv = {left.k.data(), left.v.data(), types_.cache, k_stride(),
               v_stride(),    table_.data(), stride_};
    args.live = {&rows_, rows_};
    return args;
  }

  AttentionArgs attention_args(const ToCacheArgs& store, Left& left, Buffer& scratch) const {
    AttentionArgs args{};
    args.q = store.q;
    args.row_begin = row_begin_.data();
    args.keys = keys_.data();
    args.heads = shape_.heads;
    args.kv_heads = shape_.kv_heads;
    args.dim = shape_.dim;
    args.value_dim = shape_.value_dim;
    args.kv = store.kv;
    args.score.scale = 1.0f / std::sqrt(static_cast<float>(shape_.dim));
    args.score.causal = true;
    args.score.window = variant_.window;
    args.out = {left.out.data(), DType::kF32, int64_t{shape_.heads} * shape_.value_dim};
    args.scratch = scratch.data();
    args.sequences = {&sequences_, sequences_};
    args.rows = {&rows_, rows_};
    return args;
  }

  Shape shape_;
  Variant variant_;
  Types types_;
  std::vector<int32_t> keys_, row_begin_ = {0}, sequence_, slots_, table_;
  int32_t rows_ = 0, blocks_ = 0, stride_ = 0, width_;
  int32_t sequences_ = static_cast<int32_t>(keys_.size());
  Random random_;
  Values k_, v_, qkv_;
  std::vector<float> angles_, weights_[2], shifts_[2];  // [2]: of queries, of keys
};

std::vector<Variant> variants(int dim) {
  const int even = dim / 16 * 16;
  return {{.name = "plain"},
          {.name = "rope", .rope_dim = even},
          {.name = "partial", .rope_dim = 8},
          {.name = "odd", .rope_dim = 6},
          {.name = "pairs", .rope_dim = even, .neighbours = true},
          {.name = "two axes", .rope_dim = even / 2, .rope_axes = 2},
          {.name = "window", .rope_dim = even, .window = 20},
          {.name = "clip", .rope_dim = even, .clip = 0.7f},
          {.name = "norm", .rope_dim = even, .norm = NormKind::kRms},
          {.name = "each", .clip = 0.9f, .norm = NormKind::kLayer, .span = HeadNorm::kEachHead},
          {.name = "all heads", .norm = NormKind::kRms, .span = HeadNorm::kAllHeads},
          {.name = "log n", .rope_dim = even, .log_n = 40}};
}

const std::vector<Shape> kShapes = {
    {4, 4, 128}, {8, 2, 64}, {12, 1, 80}, {6, 2, 36}, {3, 1, 192, 128}};
const Step kSteps[] = {{{1, 31, 32, 33, 64, 65, 96, 300}, {1, 1, 1, 1, 1, 1, 1, 1}},
                       {{136}, {1}},
                       {{40, 300, 33}, {3, 1, 33}}};

// The bits are those of to_cache and of attention without it.
void check(const KernelTable& kernels, ThreadTeam* team, const std::vector<Shape>& shapes,
           const Types& types) {
  for (const Shape& shape : shapes) {
    for (const Variant& variant : variants(shape.dim)) {
      for (const Step& step : kSteps) {
        // What the first step holds is enough for the other shapes.
        if (&shape != &shapes.front() && &step != &kSteps[0]) continue;
        SCOPED_TRACE(fmt::format("{} {} {}/{} x {}, cache {}, product {}, {} sequences",
                                 kernels.name, variant.name, shape.heads, shape.kv_heads, shape.dim,
                                 dtype_name(types.cache), dtype_name(types.qkv), step.keys.size()));
        const Case one(shape, variant, types, step);
        const Left apart = one.run(kernels, team, false), together = one.run(kernels, team, true);
        EXPECT_EQ(together.k, apart.k);
        EXPECT_EQ(together.v, apart.v);
        ASSERT_EQ(together.out, apart.out);
      }
    }
  }
}

TEST(AttentionStore, BitsOfTwoCalls) {
  ThreadTeam team(2);
  for (const KernelTable* kernels : levels()) {
    check(*kernels, &team, {{4, 2, 20}}, {DType::kBF16, DType::kF32, DType::kF32});
  }
}

TEST(AttentionStore, BitsOfTwoCallsOnAGpu) {
  for (const KernelTable* kernels : mirrors()) {
    for (const WeightFormat format : {WeightFormat::kBF16, WeightFormat::kF16}) {
      const ActivationTypes types = kernels->types(format);
      check(*kernels, nullptr, kShapes, {types.query, types.query, DType::kF32});
      if (types.qkv != DType::kF32)
        check(*kernels, nullptr, kShapes, {types.query, types.query, types.qkv});
    }
  }
}

}  // namespace
}  // namespace tensormill::testing
