// What choosing a token takes of a row of logits. A row is walked in blocks of kLogitBlock; a
// block's sum lies in four vectors, blocks are added up in f64.

#include "kernels/cpu/level.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/simd.h"

namespace tensormill {
namespace {

constexpr float kInfinity = __builtin_inff();
constexpr int kVectors = 4;  // of sums or maxima that don't wait for each other
static_assert(kLogitParts >= kVectors * kLanes);

[[gnu::always_inline]] inline int block_at(int64_t begin, int64_t n) {
  return n - begin < kLogitBlock ? static_cast<int>(n - begin) : kLogitBlock;
}

// n values from x, then `rest`.
[[gnu::always_inline]] inline F load_or(const float* x, int n, F rest) {
  return n == kLanes ? load(x) : select(lanes_between(0, n), load_n(x, n), rest);
}

// The largest of a block, and whether a NaN is among them.
struct BlockPeak {
  float value;
  uint32_t nan;
};
BlockPeak block_peak(const float* x, int count) {
  const F lowest = set1(-kInfinity);
  F best[kVectors] = {lowest, lowest, lowest, lowest};
  Mask nan = is_nan(lowest);
  int i = 0;
  for (; i + kVectors * kLanes <= count; i += kVectors * kLanes) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const F value = load(x + i + v * kLanes);
      nan = either(nan, is_nan(value));
      best[v] = max(value, best[v]);
    }
  }
  for (; i < count; i += kLanes) {
    const F value = load_or(x + i, count - i < kLanes ? count - i : kLanes, lowest);
    nan = either(nan, is_nan(value));
    best[0] = max(value, best[0]);
  }
  const F most = max(max(best[0], best[1]), max(best[2], best[3]));
  return {reduce_max(most), lane_bits(nan)};
}

}  // namespace

RowPeak LEVEL(peak)(const float* x, int64_t n) {
  RowPeak peak{-1, -kInfinity, true};
  int64_t from = 0;
  uint32_t nan = 0;
  for (int64_t begin = 0; begin < n; begin += kLogitBlock) {
    const BlockPeak block = block_peak(x + begin, block_at(begin, n));
    nan |= block.nan;
    if (block.value > peak.value) {
      peak.value = block.value;
      from = begin;
    }
  }
  peak.finite = nan == 0 && peak.value != kInfinity;
  if (!peak.finite || peak.value == -kInfinity) return peak;
  while (x[from] != peak.value) ++from;
  peak.index = static_cast<int32_t>(from);
  return peak;
}

double LEVEL(sum_exp)(const float* x, int64_t n, float peak) {
  double total = 0;
  for (int64_t begin = 0; begin < n; begin += kLogitBlock) {
    const float* block = x + begin;
    total += static_cast<double>(sum_of(block_at(begin, n), [&](int i, int some) {
      const F weight = exp(load_some(block + i, some) - set1(peak));
      return some == kLanes ? weight : keep_n(weight, some);
    }));
  }
  return total;
}

void LEVEL(weigh)(const float* x, int64_t n, float peak, float temperature, float* values,
                  float* weights, double* sums) {
  const F top = set1(peak), divisor = set1(temperature), least = set1(kLeastLogit);
  for (int64_t begin = 0; begin < n; begin += kLogitBlock) {
    *sums++ = static_cast<double>(sum_of(block_at(begin, n), [&](int i, int some) {
      const F value = (load_some(x + begin + i, some) - top) / divisor;
      const F kept = select(less(value, least), zero(), exp(value));
      store_some(values + begin + i, value, some);
      store_some(weights + begin + i, kept, some);
      return some == kLanes ? kept : keep_n(kept, some);
    }));
  }
}

LogitMass LEVEL(mass)(const float* values, const float* weights, int64_t n, float least) {
  LogitMass all{0, 0};
  for (int64_t begin = 0; begin < n; begin += kLogitBlock) {
    all.mass += static_cast<double>(sum_of(block_at(begin, n), [&](int i, int some) {
      const F value = load_or(values + begin + i, some, set1(-kInfinity));
      const Mask below = less(value, set1(least));
      // Lanes after the end are below any bound but -infinity.
      const uint32_t lanes = (uint32_t{1} << some) - 1;
      all.count += __builtin_popcount(~lane_bits(below) & lanes);
      return select(below, zero(), load_some(weights + begin + i, some));
    }));
  }
  return all;
}

int64_t LEVEL(maxima)(const float* x, int64_t n, int64_t run, float* largest) {
  const F lowest = set1(-kInfinity);
  int64_t parts = 0;
  for (int64_t begin = 0; begin < n; begin += run * kLanes, parts += kLanes) {
    const int64_t end = n - begin < run * kLanes ? n : begin + run * kLanes;
    F best = lowest;
    for (int64_t i = begin; i < end; i += kLanes) {
      best =
          max(load_or(x + i, end - i < kLanes ? static_cast<int>(end - i) : kLanes, lowest), best);
    }
    store(largest + parts, best);
  }
  return parts;
}

int64_t LEVEL(find)(const float* x, int64_t n, float least, int32_t* places) {
  const F bound = set1(least);
  int64_t found = 0;
  for (int64_t i = 0; i < n; i += kLanes) {
    const int some = n - i < kLanes ? static_cast<int>(n - i) : kLanes;
    uint32_t lanes = ~lane_bits(less(load_some(x + i, some), bound)) & ((uint32_t{1} << some) - 1);
    for (; lanes != 0; lanes &= lanes - 1) {
      places[found++] = static_cast<int32_t>(i) + __builtin_ctz(lanes);
    }
  }
  return found;
}

}  // namespace tensormill
