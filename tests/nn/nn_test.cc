#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "nn/kv_cache.h"
#include "nn/linear.h"
#include "nn/rope.h"

namespace tensormill {
namespace {

TEST(Rope, FrequenciesFallByTheSameFactor) {
  RopeSpec spec;
  spec.dim = 8;
  spec.theta = 10000;
  EXPECT_THAT(inverse_frequencies(spec),
              testing::Pointwise(testing::FloatNear(1e-7F), {1.0F, 0.1F, 0.01F, 0.001F}));
  spec.scaling = RopeScaling::kLinear;
  spec.factor = 4;
  EXPECT_THAT(inverse_frequencies(spec),
              testing::Pointwise(testing::FloatNear(1e-7F), {0.25F, 0.025F, 0.0025F, 0.00025F}));
}

// Wavelengths 6, 63, 628 and 6283 against bounds of 160 (low) and 40 (high).
TEST(Rope, Llama3StretchesLongWavesAndBlendsBetween) {
  RopeSpec spec;
  spec.dim = 8;
  spec.theta = 10000;
  spec.scaling = RopeScaling::kLlama3;
  spec.factor = 8;
  spec.low_frequency = 1;
  spec.high_frequency = 4;
  spec.original_length = 160;
  const std::vector<float> got = inverse_frequencies(spec);
  const double wave = 2 * M_PI / 0.1, blend = (160 / wave - 1) / 3;
  EXPECT_FLOAT_EQ(got[0], 1);
  EXPECT_NEAR(got[1], (1 - blend) * 0.1 / 8 + blend * 0.1, 1e-7);
  EXPECT_FLOAT_EQ(got[2], 0.01F / 8);
  EXPECT_FLOAT_EQ(got[3], 0.001F / 8);
}

// Values by transformers 4.57.
TEST(Rope, YarnKeepsFastDimensionsAndStretchesSlowOnes) {
  RopeSpec spec;
  spec.dim = 8;
  spec.theta = 10000;
  spec.scaling = RopeScaling::kYarn;
  spec.factor = 4;
  spec.low_frequency = 1;
  spec.high_frequency = 32;
  spec.original_length = 1024;
  const auto near = [](std::vector<float> expected) {
    return testing::Pointwise(testing::FloatNear(1e-8F), expected);
  };
  EXPECT_THAT(inverse_frequencies(spec), near({1, 0.075F, 0.005F, 0.00025F}));
  spec.whole = false;
  spec.high_frequency = 8;
  EXPECT_THAT(inverse_frequencies(spec), near({1, 0.1F, 0.00426161895F, 0.00025F}));
  spec.whole = true;
  spec.low_frequency = 0.5F;
  spec.high_frequency = 32;
  spec.original_length = 4;
  EXPECT_THAT(inverse_frequencies(spec), near({1, 0.025F, 0.0025F, 0.00025F}));
}

TEST(Rope, LongFactorsDivideBeyondTheOriginalLength) {
  RopeSpec spec;
  spec.dim = 8;
  spec.theta = 10000;
  spec.scaling = RopeScaling::kLong;
  spec.short_factors = {1, 1.5F, 2, 3};
  spec.long_factors = {2, 4, 8, 16};
  const auto near = [](std::vector<float> expected) {
    return testing::Pointwise(testing::FloatNear(1e-8F), expected);
  };
  EXPECT_THAT(inverse_frequencies(spec), near({1, 0.0666666701F, 0.005F, 0.00033333333F}));
  EXPECT_THAT(long_frequencies(spec), near({0.5F, 0.025F, 0.00125F, 6.25e-5F}));
  spec.scaling = RopeScaling::kNone;
  EXPECT_TRUE(long_frequencies(spec).empty());
}

// Fours and a scale of f32 for keys and for values.
TEST(KvCache, BytesOfEightBits) {
  const std::vector<CacheLayer> layers = {{2, 64, 128}, {1, 6, 5}};
  const int64_t token = 2 * (64 + 4 + 128 + 4) + (8 + 4 + 8 + 4);
  EXPECT_EQ(cache_bytes_per_token(layers, DType::kI8), token);
  EXPECT_EQ(KvCache(layers, DType::kI8, 3).bytes(), static_cast<size_t>(token * 3 * kBlockTokens));
}

TEST(KvCache, LayersOfABlockLieTogether) {
  const std::vector<CacheLayer> layers{{2, 6, 6}, {1, 10, 4}};
  const KvCache cache(layers, DType::kBF16, 3);
  EXPECT_EQ(cache_bytes_per_token(layers, DType::kBF16), (2 * 12 + 14) * 2);
  EXPECT_EQ(static_cast<int64_t>(cache.bytes()),
            cache_bytes_per_token(layers, DType::kBF16) * 3 * kBlockTokens);
  const KvView first = cache.view(0, nullptr, 0), second = cache.view(1, nullptr, 0);
  EXPECT_EQ(first.k_stride.head, 6 * kBlockTokens);
  EXPECT_EQ(second.v_stride.head, 4 * kBlockTokens);
  for (const KvView& view : {first, second}) {
    EXPECT_EQ(view.k_stride.block, (2 * 12 + 14) * kBlockTokens);
    EXPECT_EQ(view.v_stride.block, (2 * 12 + 14) * kBlockTokens);
  }
  const auto distance = [](const void* from, const void* to) {
    return static_cast<const std::byte*>(to) - static_cast<const std::byte*>(from);
  };
  EXPECT_EQ(distance(first.k, first.v), 2 * first.k_stride.head * 2);
  EXPECT_EQ(distance(first.v, second.k), 2 * first.v_stride.head * 2);
  EXPECT_EQ(distance(second.k, second.v), second.k_stride.head * 2);
}

TEST(Linear, AnInputSplitLeavesItsBiasToTheResidual) {
  LinearSpec spec;
  spec.outputs = 5;
  spec.inner = 7;
  spec.bias = true;
  Linear columns(spec);
  spec.split = Split::kInputs;
  Linear rows(spec);
  columns.allocate(WeightFormat::kF32, *cpu_kernels("auto"), host_device());
  rows.allocate(WeightFormat::kF32, *cpu_kernels("auto"), host_device());
  EXPECT_EQ(columns.args({}, {}, {}).bias, columns.bias());
  EXPECT_EQ(rows.args({}, {}, {}).bias, nullptr);
  EXPECT_NE(rows.bias(), nullptr);
}

TEST(Linear, ABiasMovesToALinearThatHasNone) {
  LinearSpec spec;
  spec.outputs = 2;
  spec.inner = 2;
  spec.bias = true;
  Linear from(spec), with(spec);
  spec.bias = false;
  Linear without(spec);
  for (Linear* linear : {&from, &with, &without})
    linear->allocate(WeightFormat::kF32, *cpu_kernels("auto"), host_device());
  from.bias()[1] = 3;
  with.bias()[1] = 4;
  Linear copy(from.spec());
  copy.allocate(WeightFormat::kF32, *cpu_kernels("auto"), host_device());
  copy.bias()[1] = 3;
  from.move_bias_to(with);
  copy.move_bias_to(without);
  EXPECT_EQ(from.bias(), nullptr);
  EXPECT_EQ(with.bias()[1], 7);
  EXPECT_EQ(without.bias()[1], 3);
}

}  // namespace
}  // namespace tensormill
