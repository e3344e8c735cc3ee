#include "nn/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tensor/convert.h"

namespace tensormill {
namespace {

// Long wavelengths are stretched by the factor, short ones stay, those between are blended.
float llama3_frequency(const RopeSpec& spec, float frequency) {
  const auto length = static_cast<float>(spec.original_length);
  const float wavelength = 2 * std::numbers::pi_v<float> / frequency;
  if (wavelength > length / spec.low_frequency) return frequency / spec.factor;
  if (wavelength < length / spec.high_frequency) return frequency;
  const float blend =
      (length / wavelength - spec.low_frequency) / (spec.high_frequency - spec.low_frequency);
  return (1 - blend) * frequency / spec.factor + blend * frequency;
}

// How far dimension i is on the way from frequencies that stay (0) to those that are divided (1).
class YarnRamp {
 public:
  explicit YarnRamp(const RopeSpec& spec)
      : low_(turning_so_often(spec, spec.high_frequency)),
        high_(turning_so_often(spec, spec.low_frequency)) {
    if (spec.whole) {
      low_ = std::floor(low_);
      high_ = std::ceil(high_);
    }
    low_ = std::max(low_, 0.0);
    high_ = std::min(high_, static_cast<double>(spec.dim - 1));
    if (low_ == high_) high_ += 0.001;
  }
  float operator()(size_t i) const {
    const auto ramp =
        (static_cast<float>(i) - static_cast<float>(low_)) / static_cast<float>(high_ - low_);
    return std::clamp(ramp, 0.0F, 1.0F);
  }

 private:
  // The dimension that turns `turns` times over the original length.
  static double turning_so_often(const RopeSpec& spec, double turns) {
    return spec.dim * std::log(spec.original_length / (turns * 2 * std::numbers::pi)) /
           (2 * std::log(double{spec.theta}));
  }
  double low_, high_;
};

float unscaled_frequency(const RopeSpec& spec, size_t i) {
  const float exponent = static_cast<float>(2 * i) / static_cast<float>(spec.dim);
  return 1.0F / std::pow(spec.theta, exponent);
}

std::vector<float> divided_frequencies(const RopeSpec& spec, const std::vector<float>& factors) {
  std::vector<float> result(static_cast<size_t>(spec.dim / 2));
  for (size_t i = 0; i < result.size(); ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(spec.dim);
    result[i] = 1.0F / (factors[i] * std::pow(spec.theta, exponent));
  }
  return result;
}

std::vector<float> yarn_frequencies(const RopeSpec& spec) {
  const YarnRamp ramp(spec);
  std::vector<float> result(static_cast<size_t>(spec.dim / 2));
  for (size_t i = 0; i < result.size(); ++i) {
    const float frequency = unscaled_frequency(spec, i);
    result[i] = frequency / spec.factor * ramp(i) + frequency * (1 - ramp(i));
  }
  return result;
}

}  // namespace

// In float throughout: the reference rounds there too, and an angle is position times this.
std::vector<float> inverse_frequencies(const RopeSpec& spec) {
  if (spec.scaling == RopeScaling::kYarn) return yarn_frequencies(spec);
  if (spec.scaling == RopeScaling::kLong) return divided_frequencies(spec, spec.short_factors);
  std::vector<float> result(static_cast<size_t>(spec.dim / 2));
  for (size_t i = 0; i < result.size(); ++i) {
    result[i] = unscaled_frequency(spec, i);
    if (spec.scaling == RopeScaling::kLinear) result[i] /= spec.factor;
    if (spec.scaling == RopeScaling::kLlama3) result[i] = llama3_frequency(spec, result[i]);
  }
  if (spec.f16) {
    for (float& frequency : result) frequency = f16_to_f32(f32_to_f16(frequency));
  }
  return result;
}

std::vector<float> long_frequencies(const RopeSpec& spec) {
  if (spec.scaling != RopeScaling::kLong) return {};
  return divided_frequencies(spec, spec.long_factors);
}

RopeLength rope_length(const RopeSpec& spec) {
  switch (spec.scaling) {
    case RopeScaling::kDynamic:
      return RopeLength::kDynamic;
    case RopeScaling::kPowers:
      return RopeLength::kPowers;
    case RopeScaling::kLong:
      return RopeLength::kLong;
    default:
      return RopeLength::kNone;
  }
}

}  // namespace tensormill
