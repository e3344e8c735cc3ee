// Keys and values in another type than the weights: close to the reference, and counted right.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "parity.h"

namespace tensormill {
namespace {

LoadOptions cache_options(WeightFormat format, DType cache) {
  LoadOptions options = load_options(format);
  options.cache_type = cache;
  return options;
}

class CacheType : public testing::TestWithParam<std::string> {};

// As in int8_test.cc the fixtures show small errors: a rounding of 1 in 254 of each key becomes
// some percent of the largest logit. What a wrong scale would do is ten times that.
TEST_P(CacheType, IsCloseToTheReference) {
  for (const Variant& variant : variants_of(GetParam())) {
    SCOPED_TRACE(variant.name);
    const struct {
      DType cache;
      double allowed;
    } kTypes[] = {
        {DType::kF32, 1e-4}, {DType::kF16, 5e-3}, {DType::kBF16, 2e-2}, {DType::kI8, 0.1}};
    for (const auto& [cache, allowed] : kTypes) {
      if (cache == DType::kI8 && on_gpu()) continue;
      SCOPED_TRACE(dtype_name(cache));
      const auto model = variant.load(cache_options(WeightFormat::kF32, cache));
      const Differences difference = compare(variant, *model);
      EXPECT_LE(difference.logits, allowed);
      EXPECT_LE(difference.hidden, allowed);
      if (cache == DType::kF32) continue;
      EXPECT_GT(difference.logits, 1e-6) << "the cache was not rounded";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, CacheType,
                         testing::Values("llama", "gpt2", "bloom", "falcon", "gemma2", "mixtral",
                                         "qwen2", "deepseek_v2"),
                         [](const auto& family) { return test_text(family.param); });

TEST(CacheTypeModel, CountsItsBytes) {
  if (on_gpu()) GTEST_SKIP() << "GPUs keep no int8";
  const Variant variant = variants_of("llama").front();
  const auto plain = variant.load(load_options(WeightFormat::kBF16));
  const auto wide = variant.load(cache_options(WeightFormat::kBF16, DType::kF32));
  const auto bytes = variant.load(cache_options(WeightFormat::kBF16, DType::kI8));
  EXPECT_EQ(plain->info().cache_type, DType::kBF16);
  EXPECT_EQ(bytes->info().cache_type, DType::kI8);
  EXPECT_EQ(wide->info().cache_bytes_per_token, 2 * plain->info().cache_bytes_per_token);
  EXPECT_EQ(bytes->make_cache(3)->bytes(),
            static_cast<size_t>(3 * kBlockTokens * bytes->info().cache_bytes_per_token));
}

TEST(CacheTypeModel, IsRefusedByNameWhereKernelsHaveNone) {
  LoadOptions options = cache_options(WeightFormat::kBF16, DType::kI8);
  KernelTable without = *options.kernels;
  without.runs = [](const AttentionArgs& args) { return args.kv.type != DType::kI8; };
  options.kernels = &without;
  try {
    variants_of("llama").front().load(options);
    FAIL() << "loaded";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
    EXPECT_THAT(error.what(), testing::HasSubstr("kv_cache_dtype=int8"));
    EXPECT_THAT(error.what(), testing::HasSubstr("bf16, f16 or f32"));
  }
}

}  // namespace
}  // namespace tensormill
