// Against torch.manual_seed and torch.randn.

#include "nn/normal_draws.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tensormill {
namespace {

constexpr float kLastBits = 2e-6F;

TEST(NormalDraws, ManyComeInGroupsOfWhichTheLastIsDrawnAnew) {
  EXPECT_THAT(
      normal_draws(11, 20),
      testing::Pointwise(testing::FloatNear(kLastBits),
                         {-0.51079756F, 1.0282718F, -0.35315159F, 0.12299132F,  -0.15462512F,
                          -1.0964388F,  1.3665977F, 0.68928194F,  0.074439183F, -0.18429555F,
                          0.79603678F,  0.9592343F, 2.0175424F,   -1.1686294F,  -1.3241942F,
                          1.1267436F,   1.9112736F, 0.29790407F,  -0.70412296F, 0.49830028F}));
}

TEST(NormalDraws, FewComeInPairs) {
  EXPECT_THAT(normal_draws(7, 5),
              testing::Pointwise(testing::FloatNear(kLastBits),
                                 {-0.14679509F, 0.78614128F, 0.94682163F, -1.114344F, 1.6907902F}));
}

TEST(NormalDraws, NoneAreNone) {
  EXPECT_TRUE(normal_draws(7, 0).empty());
}

}  // namespace
}  // namespace tensormill
