// Models whose products run in 8 bits: close to the reference, smaller than the others, and refused
// where a device has no such weights.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "parity.h"

namespace tensormill {
namespace {

LoadOptions int8_options(WeightFormat format) {
  LoadOptions options = load_options(format);
  options.quantize = Quantization::kDynamicInt8;
  return options;
}

class Int8 : public testing::TestWithParam<std::string> {};

// The fixtures are made so that small errors show: a rounding of 1 in 254 of each value becomes
// some percent of the largest logit. What a wrong scale or group would do is ten times that.
TEST_P(Int8, IsCloseToTheReference) {
  if (on_gpu()) GTEST_SKIP() << "GPUs have no int8 weights yet";
  for (const Variant& variant : variants_of(GetParam())) {
    SCOPED_TRACE(variant.name);
    for (const WeightFormat format : {WeightFormat::kF32, WeightFormat::kBF16}) {
      const Differences difference = compare(variant, *variant.load(int8_options(format)));
      EXPECT_LE(difference.logits, 0.1);
      EXPECT_LE(difference.hidden, 0.1);
      EXPECT_GT(difference.logits, 1e-4) << "nothing was quantized";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Int8,
                         testing::Values("llama", "gpt2", "opt", "falcon", "gptj", "mixtral",
                                         "qwen2_moe", "deepseek_v2", "gemma2", "reformer"),
                         [](const auto& family) { return test_text(family.param); });

TEST(Int8Model, TakesLessMemory) {
  if (on_gpu()) GTEST_SKIP() << "GPUs have no int8 weights yet";
  const Variant variant = variants_of("llama").front();
  const auto half = variant.load(load_options(WeightFormat::kBF16));
  const auto eighth = variant.load(int8_options(WeightFormat::kBF16));
  EXPECT_LT(eighth->info().weight_bytes, half->info().weight_bytes);
  EXPECT_EQ(eighth->info().format, WeightFormat::kBF16);
  EXPECT_EQ(eighth->info().cache_bytes_per_token, half->info().cache_bytes_per_token);
}

TEST(Int8Model, IsRefusedWhereKernelsHaveNone) {
  LoadOptions options = int8_options(WeightFormat::kBF16);
  KernelTable without = *options.kernels;
  without.stores = [](WeightFormat format) { return format != WeightFormat::kInt8; };
  options.kernels = &without;
  try {
    variants_of("llama").front().load(options);
    FAIL() << "loaded";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
    EXPECT_THAT(error.what(), testing::HasSubstr("int8"));
  }
}

}  // namespace
}  // namespace tensormill
