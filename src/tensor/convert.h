#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace tensormill {

float f16_to_f32(uint16_t value);
uint16_t f32_to_f16(float value);  // to nearest even; beyond the range: infinity
float bf16_to_f32(uint16_t value);
uint16_t f32_to_bf16(float value);  // to nearest even

// Copies `count` values between f32, f16 and bf16; both addresses aligned to their type. Errors:
// kInternal for another type.
void convert(const void* from, DType from_type, void* to, DType to_type, int64_t count);

}  // namespace tensormill
