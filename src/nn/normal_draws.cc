#include "nn/normal_draws.h"

#include <cmath>
#include <numbers>
#include <random>

namespace tensormill {
namespace {

constexpr int64_t kGroup = 16;  // PyTorch turns uniform values into normal ones by so many
constexpr double kTurn = 2 * std::numbers::pi;

// 24 bits, in [0, 1).
float uniform(std::mt19937& engine) {
  return static_cast<float>(engine() & 0xFFFFFF) * 0x1p-24F;
}

// 53 bits, in [0, 1): the first draw is the high half.
double uniform_double(std::mt19937& engine) {
  const auto high = static_cast<uint64_t>(engine());
  const uint64_t bits = high << 32 | static_cast<uint64_t>(engine());
  return static_cast<double>(bits & ((uint64_t{1} << 53) - 1)) * 0x1p-53;
}

// Values i and i + 8 of a group become a length and a direction.
void turn(float* group) {
  for (int i = 0; i < kGroup / 2; ++i) {
    const double length = std::sqrt(-2 * std::log(1.0 - double{group[i]}));
    const double angle = kTurn * double{group[i + kGroup / 2]};
    group[i] = static_cast<float>(length * std::cos(angle));
    group[i + kGroup / 2] = static_cast<float>(length * std::sin(angle));
  }
}

void fill_few(std::mt19937& engine, std::vector<float>& values) {
  for (size_t i = 0; i < values.size(); i += 2) {
    const double angle = kTurn * uniform_double(engine);
    const double length = std::sqrt(-2 * std::log1p(-uniform_double(engine)));
    values[i] = static_cast<float>(length * std::cos(angle));
    if (i + 1 < values.size()) values[i + 1] = static_cast<float>(length * std::sin(angle));
  }
}

}  // namespace

std::vector<float> normal_draws(uint32_t seed, int64_t count) {
  std::mt19937 engine(seed);
  std::vector<float> values(static_cast<size_t>(count));
  if (count < kGroup) {
    fill_few(engine, values);
    return values;
  }
  for (float& value : values) value = uniform(engine);
  for (int64_t i = 0; i + kGroup <= count; i += kGroup) turn(&values[static_cast<size_t>(i)]);
  if (count % kGroup == 0) return values;
  // The last group overlaps the one before and is drawn anew.
  float* last = values.data() + count - kGroup;
  for (int64_t i = 0; i < kGroup; ++i) last[i] = uniform(engine);
  turn(last);
  return values;
}

}  // namespace tensormill
