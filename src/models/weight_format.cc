#include "models/weight_format.h"

#include <array>
#include <utility>

namespace tensormill {

std::optional<WeightFormat> parse_weight_format(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, WeightFormat>, 9> kNames{{
      {"f32", WeightFormat::kF32},
      {"fp32", WeightFormat::kF32},
      {"float32", WeightFormat::kF32},
      {"f16", WeightFormat::kF16},
      {"fp16", WeightFormat::kF16},
      {"float16", WeightFormat::kF16},
      {"half", WeightFormat::kF16},
      {"bf16", WeightFormat::kBF16},
      {"bfloat16", WeightFormat::kBF16},
  }};
  for (const auto& [text, format] : kNames) {
    if (text == name) return format;
  }
  return std::nullopt;
}

std::optional<DType> parse_cache_type(std::string_view name) {
  for (const DType type : {DType::kBF16, DType::kF16, DType::kF32, DType::kI8}) {
    if (name == cache_type_name(type)) return type;
  }
  return std::nullopt;
}

const char* cache_type_name(DType type) {
  return type == DType::kI8 ? "int8" : dtype_name(type);
}

std::optional<Quantization> parse_quantization(std::string_view name) {
  if (name.empty()) return Quantization::kNone;
  if (name == "dynamic_int8") return Quantization::kDynamicInt8;
  return std::nullopt;
}

}  // namespace tensormill
