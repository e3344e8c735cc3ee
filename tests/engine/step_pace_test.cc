#include "engine/step_pace.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/prompt_cost.h"

namespace tensormill {
namespace {

constexpr double kTarget = 0.1;

// A machine whose steps take as long as what is in them says.
struct Machine {
  double step, decoding, token;  // seconds of a step, of a decoding sequence, of a prompt's token

  double seconds(double work, int decoding_sequences) const {
    return step + decoding * decoding_sequences + token * work;
  }
};

// Seconds of the last of so many steps that decode beside a prompt without end.
double settled(StepPace& pace, const Machine& machine, int decoding, int steps) {
  double seconds = 0;
  for (int i = 0; i < steps; ++i) {
    const double work = std::floor(pace.prompt_work());
    seconds = machine.seconds(work, decoding);
    pace.measured(work, true, seconds);
  }
  return seconds;
}

TEST(PromptCost, CountsWhatFits) {
  const PromptCost plain;
  EXPECT_EQ(plain.fits(1000, 37.5), 37);
  EXPECT_DOUBLE_EQ(plain.of(1000, 37), 37);
  const PromptCost cost{0.001};
  for (const int32_t first : {0, 100, 5000}) {
    for (const double work : {0.5, 20.0, 3000.0}) {
      const int32_t count = cost.fits(first, work);
      EXPECT_LE(cost.of(first, count), work);
      EXPECT_GT(cost.of(first, count + 1), work);
    }
  }
  EXPECT_EQ(cost.fits(7, INFINITY), std::numeric_limits<int32_t>::max());
  EXPECT_EQ(cost.fits(7, 0), 0);
  EXPECT_EQ(cost.fits(7, -3), 0);
}

TEST(StepPace, NothingIsBoundedBeforeItIsKnownOrWithoutATarget) {
  StepPace unbounded(0), pace(kTarget);
  EXPECT_TRUE(std::isinf(pace.prompt_work()));
  for (StepPace* each : {&unbounded, &pace}) {
    each->measured(100, false, 1);
    each->measured(0, true, 0.01);
  }
  EXPECT_TRUE(std::isinf(unbounded.prompt_work()));
  EXPECT_NEAR(pace.prompt_work(), 9, 0.1);
}

TEST(StepPace, StepsSettleAtTheTarget) {
  for (const Machine machine : {Machine{0.010, 0.0005, 0.00075}, Machine{0.002, 0.0001, 0.0002}}) {
    StepPace pace(kTarget);
    pace.measured(5, false, machine.seconds(5, 0));  // a first prompt so short that it says little
    pace.measured(0, true, machine.seconds(0, 1));
    EXPECT_NEAR(settled(pace, machine, 8, 30), kTarget, 0.05 * kTarget);
    // More sequences decode, and none of the steps decodes alone: the prompts' time learns it.
    EXPECT_NEAR(settled(pace, machine, 30, 30), kTarget, 0.05 * kTarget);
  }
}

TEST(StepPace, OneStepThatWasHeldUpChangesLittle) {
  const Machine machine{0.010, 0.0005, 0.00075};
  StepPace pace(kTarget);
  pace.measured(500, false, machine.seconds(500, 0));
  pace.measured(0, true, machine.seconds(0, 8));
  settled(pace, machine, 8, 20);
  const double before = pace.prompt_work();
  pace.measured(before, true, 100 * kTarget);
  EXPECT_GT(pace.prompt_work(), 0.7 * before);
  EXPECT_NEAR(settled(pace, machine, 8, 20), kTarget, 0.05 * kTarget);
  pace.measured(0, true, 100 * kTarget);
  EXPECT_GT(pace.prompt_work(), 0.7 * before);
}

TEST(StepPace, PromptsGetHalfOfTheTimeWhereDecodingTakesLonger) {
  const Machine machine{0.300, 0.001, 0.010};  // a large model: a step of 30 tokens takes 0.6 s
  StepPace pace(kTarget);
  pace.measured(200, false, machine.seconds(200, 0));
  for (int i = 0; i < 20; ++i) pace.measured(0, true, machine.seconds(0, 4));
  EXPECT_NEAR(settled(pace, machine, 4, 20), 2 * machine.seconds(0, 4), 0.05);
}

}  // namespace
}  // namespace tensormill
