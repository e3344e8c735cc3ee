#include "tensor/convert.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "base/error.h"

namespace tensormill {
namespace {

float load(const void* from, DType type, int64_t i) {
  switch (type) {
    case DType::kF32:
      return static_cast<const float*>(from)[i];
    case DType::kF16:
      return f16_to_f32(static_cast<const uint16_t*>(from)[i]);
    case DType::kBF16:
      return bf16_to_f32(static_cast<const uint16_t*>(from)[i]);
    default:
      throw_error(ErrorKind::kInternal, "conversion from {}", dtype_name(type));
  }
}

void store(void* to, DType type, int64_t i, float value) {
  switch (type) {
    case DType::kF32:
      static_cast<float*>(to)[i] = value;
      return;
    case DType::kF16:
      static_cast<uint16_t*>(to)[i] = f32_to_f16(value);
      return;
    case DType::kBF16:
      static_cast<uint16_t*>(to)[i] = f32_to_bf16(value);
      return;
    default:
      throw_error(ErrorKind::kInternal, "conversion to {}", dtype_name(type));
  }
}

}  // namespace

float bf16_to_f32(uint16_t value) {
  return std::bit_cast<float>(uint32_t{value} << 16);
}

uint16_t f32_to_bf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return static_cast<uint16_t>((bits >> 16) | 0x40U);
  return static_cast<uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

float f16_to_f32(uint16_t value) {
  const uint32_t sign = (value & 0x8000U) << 16, exponent = (value >> 10) & 0x1FU;
  const uint32_t fraction = value & 0x3FFU;
  if (exponent == 0x1F) return std::bit_cast<float>(sign | 0x7F800000U | (fraction << 13));
  if (exponent != 0) {
    return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
  }
  const float small = std::ldexp(static_cast<float>(fraction), -24);
  return sign != 0 ? -small : small;
}

uint16_t f32_to_f16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000U);
  const uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude > 0x7F800000U) return sign | 0x7E00U;
  if (magnitude >= 0x477FF000U) return sign | 0x7C00U;  // rounds to 65536 or more
  if (magnitude < 0x38800000U) {                        // below 2^-14: steps of 2^-24
    const float scaled = std::ldexp(std::bit_cast<float>(magnitude), 24);
    return sign | static_cast<uint16_t>(std::nearbyint(scaled));
  }
  const uint32_t rounded = magnitude + 0xFFFU + ((magnitude >> 13) & 1U);
  return sign | static_cast<uint16_t>((rounded - 0x38000000U) >> 13);
}

void convert(const void* from, DType from_type, void* to, DType to_type, int64_t count) {
  if (count == 0) return;
  if (from_type == to_type) {
    std::memcpy(to, from, static_cast<size_t>(count) * dtype_size(to_type));
    return;
  }
  for (int64_t i = 0; i < count; ++i) store(to, to_type, i, load(from, from_type, i));
}

}  // namespace tensormill
