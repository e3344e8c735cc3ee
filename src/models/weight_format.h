#pragma once

#include <optional>
#include <string_view>

#include "kernels/table.h"
#include "models/model.h"

namespace tensormill {

// "f32", "fp32", "float32", "f16", "fp16", "float16", "half", "bf16" or "bfloat16"; else none.
std::optional<WeightFormat> parse_weight_format(std::string_view name);

// "bf16", "f16", "f32" or "int8", what option.kv_cache_dtype can be; none for "auto" and all else.
std::optional<DType> parse_cache_type(std::string_view name);

// The same names.
const char* cache_type_name(DType type);

// "dynamic_int8", or empty for none; else nothing.
std::optional<Quantization> parse_quantization(std::string_view name);

}  // namespace tensormill
