// The passes over a row of logits, on every level, beside what plain loops in f64 find.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "fixture.h"

namespace tensormill::testing {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
// Around a vector, a block and several of them.
constexpr int64_t kSizes[] = {1, 3, 15, 16, 17, 63, 64, 100, 1023, 1024, 1025, 5000, 49152};

// A row with -infinity here and there.
std::vector<float> row_of(Random& random, int64_t size) {
  std::vector<float> x = random.normals(static_cast<size_t>(size), 5);
  for (int64_t i = 7; i < size; i += 97) x[static_cast<size_t>(i)] = -kInfinity;
  return x;
}

TEST(Logits, PeakIsTheFirstLargest) {
  Random random(3);
  for (const KernelTable* kernels : levels()) {
    const LogitKernels& logits = *kernels->logits();
    for (const int64_t size : kSizes) {
      SCOPED_TRACE(::testing::Message() << kernels->name << " " << size);
      std::vector<float> x = row_of(random, size);
      for (int again = 0; again < 3; ++again) {
        const auto first = std::max_element(x.begin(), x.end());
        const RowPeak peak = logits.peak(x.data(), size);
        EXPECT_TRUE(peak.finite);
        EXPECT_EQ(peak.index, first - x.begin());
        EXPECT_EQ(peak.value, *first);
        x[static_cast<size_t>(random.below(static_cast<int>(size)))] = *first;  // a tie
      }
    }
  }
}

TEST(Logits, PeakSeesWhatIsNoNumber) {
  Random random(4);
  for (const KernelTable* kernels : levels()) {
    const LogitKernels& logits = *kernels->logits();
    for (const int64_t size : kSizes) {
      SCOPED_TRACE(::testing::Message() << kernels->name << " " << size);
      for (const float bad : {std::nanf(""), -std::nanf(""), kInfinity}) {
        for (const int64_t place : {int64_t{0}, size / 2, size - 1}) {
          std::vector<float> x = row_of(random, size);
          x[static_cast<size_t>(place)] = bad;
          EXPECT_FALSE(logits.peak(x.data(), size).finite) << bad << " at " << place;
        }
      }
      const std::vector<float> nothing(static_cast<size_t>(size), -kInfinity);
      EXPECT_TRUE(logits.peak(nothing.data(), size).finite);
      EXPECT_EQ(logits.peak(nothing.data(), size).index, -1);
    }
  }
}

TEST(Logits, SumsAreNearTheExactOnes) {
  Random random(5);
  for (const KernelTable* kernels : levels()) {
    const LogitKernels& logits = *kernels->logits();
    for (const int64_t size : kSizes) {
      SCOPED_TRACE(::testing::Message() << kernels->name << " " << size);
      const std::vector<float> x = row_of(random, size);
      const float peak = *std::max_element(x.begin(), x.end());
      double exact = 0;
      for (const float one : x) exact += std::exp(static_cast<double>(one) - peak);
      if (peak == -kInfinity) continue;
      EXPECT_NEAR(logits.sum_exp(x.data(), size, peak) / exact, 1, 1e-6);
    }
  }
}

TEST(Logits, WeighsEachOne) {
  Random random(6);
  for (const KernelTable* kernels : levels()) {
    const LogitKernels& logits = *kernels->logits();
    for (const int64_t size : kSizes) {
      SCOPED_TRACE(::testing::Message() << kernels->name << " " << size);
      std::vector<float> x = row_of(random, size), weights(x.size());
      const std::vector<float> from = x;
      std::vector<double> sums(static_cast<size_t>(size / kLogitBlock + 1)), exact(sums.size());
      const float peak = *std::max_element(x.begin(), x.end());
      if (peak == -kInfinity) continue;
      logits.weigh(x.data(), size, peak, 0.37f, x.data(), weights.data(), sums.data());
      for (size_t i = 0; i < x.size(); ++i) {
        const float value = (from[i] - peak) / 0.37f;
        EXPECT_EQ(x[i], value) << i;
        const double weight = value < kLeastLogit ? 0 : std::exp(static_cast<double>(value));
        EXPECT_NEAR(weights[i], weight, 3e-7 * weight) << i;
        exact[i / kLogitBlock] += static_cast<double>(weights[i]);
      }
      for (size_t i = 0; i < sums.size(); ++i) EXPECT_NEAR(sums[i], exact[i], 1e-6 * exact[i]);
    }
  }
}

TEST(Logits, WeightsAreCloseEverywhere) {
  std::vector<float> x;
  for (float value = 0; value > -87; value -= 0.0137f) x.push_back(value);
  const auto count = static_cast<int64_t>(x.size());
  for (const KernelTable* kernels : levels()) {
    std::vector<float> values(x.size()), weights(x.size());
    std::vector<double> sums(x.size() / kLogitBlock + 1);
    kernels->logits()->weigh(x.data(), count, 0, 1, values.data(), weights.data(), sums.data());
    EXPECT_EQ(weights[0], 1) << kernels->name;
    for (size_t i = 0; i < x.size(); ++i) {
      EXPECT_NEAR(weights[i] / std::exp(static_cast<double>(x[i])), 1, 3e-7)
          << kernels->name << " " << x[i];
    }
  }
}

TEST(Logits, MassAndPlacesFromABoundOn) {
  Random random(7);
  for (const KernelTable* kernels : levels()) {
    const LogitKernels& logits = *kernels->logits();
    for (const int64_t size : kSizes) {
      const std::vector<float> x = row_of(random, size);
      const std::vector<float> weights(x.size(), 1.5f);
      for (const float least : {-kInfinity, -3.0f, x[x.size() / 2], 100.0f}) {
        SCOPED_TRACE(::testing::Message() << kernels->name << " " << size << " " << least);
        std::vector<int32_t> wanted, places(x.size());
        for (size_t i = 0; i < x.size(); ++i) {
          if (x[i] >= least) wanted.push_back(static_cast<int32_t>(i));
        }
        places.resize(static_cast<size_t>(logits.find(x.data(), size, least, places.data())));
        EXPECT_EQ(places, wanted);
        const LogitMass mass = logits.mass(x.data(), weights.data(), size, least);
        EXPECT_EQ(mass.count, static_cast<int64_t>(wanted.size()));
        EXPECT_EQ(mass.mass, 1.5 * static_cast<double>(wanted.size()));
      }
    }
  }
}

// Parts are disjoint and cover the row: their k-th largest maximum bounds the k-th largest logit.
TEST(Logits, MaximaBoundTheBest) {
  Random random(8);
  for (const KernelTable* kernels : levels()) {
    const LogitKernels& logits = *kernels->logits();
    for (const int64_t size : kSizes) {
      for (const int64_t run : {1, 2, 40, 5000}) {
        SCOPED_TRACE(::testing::Message() << kernels->name << " " << size << " " << run);
        std::vector<float> x = row_of(random, size);
        std::vector<float> largest(static_cast<size_t>(size / run + kLogitParts), kInfinity);
        const int64_t parts = logits.maxima(x.data(), size, run, largest.data());
        ASSERT_LE(parts, size / run + kLogitParts);
        largest.resize(static_cast<size_t>(parts));
        std::sort(largest.begin(), largest.end(), std::greater<>());
        std::sort(x.begin(), x.end(), std::greater<>());
        EXPECT_EQ(largest[0], x[0]);
        for (size_t k = 0; k < largest.size(); ++k) {
          if (k < x.size()) {
            EXPECT_LE(largest[k], x[k]) << k;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace tensormill::testing
