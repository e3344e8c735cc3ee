#include "nn/rope.h"

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

}  // namespace

// In float throughout: the reference rounds there too, and an angle is position times this.
std::vector<float> inverse_frequencies(const RopeSpec& spec) {
  std::vector<float> result(static_cast<size_t>(spec.dim / 2));
  for (size_t i = 0; i < result.size(); ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(spec.dim);
    const float frequency = 1.0F / std::pow(spec.theta, exponent);
    switch (spec.scaling) {
      case RopeScaling::kNone:
      case RopeScaling::kDynamic:
      case RopeScaling::kPowers:
      case RopeScaling::kYarn:
      case RopeScaling::kLong:
        result[i] = frequency;
        break;
      case RopeScaling::kLinear:
        result[i] = frequency / spec.factor;
        break;
      case RopeScaling::kLlama3:
        result[i] = llama3_frequency(spec, frequency);
        break;
    }
  }
  if (spec.f16) {
    for (float& frequency : result) frequency = f16_to_f32(f32_to_f16(frequency));
  }
  return result;
}

std::vector<float> long_frequencies(const RopeSpec& spec) {
  if (spec.scaling != RopeScaling::kLong) return {};
  return inverse_frequencies(spec);
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
