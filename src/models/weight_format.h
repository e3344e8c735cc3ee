#pragma once

#include <optional>
#include <string_view>

#include "kernels/table.h"

namespace tensormill {

// "f32", "fp32", "float32", "f16", "fp16", "float16", "half", "bf16" or "bfloat16"; else none.
std::optional<WeightFormat> parse_weight_format(std::string_view name);

}  // namespace tensormill
