// Every family against its reference: logits and hidden rows, and greedy continuations.

#include "parity.h"

#include <gtest/gtest.h>

namespace tensormill {
namespace {

class Parity : public testing::TestWithParam<Variant> {
 protected:
  void check(WeightFormat format) const {
    const Variant& variant = GetParam();
    const auto model = variant.load(load_options(format));
    const Differences difference = compare(variant, *model);
    EXPECT_LE(difference.logits, tolerance(format));
    EXPECT_LE(difference.hidden, tolerance(format));
    const std::vector<int32_t> best = best_tokens(variant, *model);
    ASSERT_EQ(best.size(), variant.gaps.size());
    int compared = 0;
    for (size_t step = 0; step < best.size(); ++step) {
      if (!must_agree(variant, step, format)) continue;
      EXPECT_EQ(best[step], variant.greedy[step])
          << "step " << step << ", gap " << variant.gaps[step];
      ++compared;
    }
    // A continuation that is never clear would prove nothing.
    EXPECT_GE(compared, 16);
  }
};

TEST_P(Parity, F32) {
  check(WeightFormat::kF32);
}

// The files hold values that both half types hold exactly: activations and the cache round.
TEST_P(Parity, F16) {
  check(WeightFormat::kF16);
}

TEST_P(Parity, Bf16) {
  check(WeightFormat::kBF16);
}

std::string test_name(const testing::TestParamInfo<Variant>& info) {
  return test_text(info.param.family + "_" + info.param.name);
}

INSTANTIATE_TEST_SUITE_P(Models, Parity, testing::ValuesIn(variants()), test_name);

}  // namespace
}  // namespace tensormill
