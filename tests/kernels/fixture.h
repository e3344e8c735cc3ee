#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/thread_team.h"
#include "kernels/cpu_features.h"
#include "kernels/cpu_stream.h"
#include "kernels/table.h"
#include "mirror.h"

namespace tensormill::testing {

// Every level that this machine runs.
inline std::vector<const KernelTable*> levels() {
  std::vector<const KernelTable*> all;
  for (const std::string& name : cpu_features().levels) all.push_back(cpu_kernels(name.c_str()));
  return all;
}

inline std::vector<const KernelTable*> all_tables() {
  std::vector<const KernelTable*> all = levels();
  for (const KernelTable* kernels : mirrors()) all.push_back(kernels);
  return all;
}

inline bool on_gpu(const KernelTable& kernels) {
  return std::string_view(kernels.name).starts_with("cuda");
}

// Whether a CPU's attention multiplies in bf16.
inline bool cpu_multiplies_bf16(const KernelTable& kernels) {
  const std::string_view name = kernels.name;
  return name == "avx512_bf16" || name == "avx512_amx";
}

// How much further from the exact result than a CPU's a GPU's sums may be.
inline double looseness(const KernelTable& kernels) {
  return on_gpu(kernels) ? 4 : 1;
}

inline float from_bf16(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float x;
  std::memcpy(&x, &wide, sizeof x);
  return x;
}

inline float from_f16(uint16_t bits) {
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  const float sign = (bits & 0x8000) != 0 ? -1.0f : 1.0f;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), -24);
  if (exponent == 31) return mantissa != 0 ? NAN : sign * INFINITY;
  return sign * std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
}

inline uint16_t to_bf16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// Nearest f16 by search over the neighbours of a rough guess: slow and plainly right.
inline uint16_t to_f16(float x) {
  const auto sign = static_cast<uint16_t>(std::signbit(x) ? 0x8000 : 0);
  const double magnitude = std::fabs(static_cast<double>(x));
  if (magnitude >= 65520.0) return static_cast<uint16_t>(sign | 0x7c00);
  uint16_t low = 0, high = 0x7bff;
  while (high - low > 1) {
    const auto middle = static_cast<uint16_t>((low + high) / 2);
    (from_f16(middle) <= magnitude ? low : high) = middle;
  }
  const double down = magnitude - from_f16(low), up = from_f16(high) - magnitude;
  const uint16_t near = down < up ? low : up < down ? high : (low & 1) == 0 ? low : high;
  return static_cast<uint16_t>(sign | near);
}

// Values of some dtype as bytes, and what they mean.
struct Values {
  DType type;
  std::vector<uint8_t> bytes;
  std::vector<float> exact;

  Values(DType kind, const std::vector<float>& from) : type(kind), exact(from) {
    bytes.resize(from.size() * dtype_size(kind));
    for (size_t i = 0; i < from.size(); ++i) {
      if (kind == DType::kF32) {
        std::memcpy(&bytes[4 * i], &from[i], 4);
        continue;
      }
      const uint16_t bits = kind == DType::kBF16 ? to_bf16(from[i]) : to_f16(from[i]);
      std::memcpy(&bytes[2 * i], &bits, 2);
      exact[i] = kind == DType::kBF16 ? from_bf16(bits) : from_f16(bits);
    }
  }
  void* data() { return bytes.data(); }
};

inline std::vector<float> read_values(DType type, const void* data, size_t count) {
  std::vector<float> out(count);
  for (size_t i = 0; i < count; ++i) {
    if (type == DType::kF32) {
      std::memcpy(&out[i], static_cast<const char*>(data) + 4 * i, 4);
      continue;
    }
    uint16_t bits;
    std::memcpy(&bits, static_cast<const char*>(data) + 2 * i, 2);
    out[i] = type == DType::kBF16 ? from_bf16(bits) : from_f16(bits);
  }
  return out;
}

// A head of a cache in 8 bits (KvView, kI8): rounds the values; their scale.
inline float to_eighths(float* x, int dim) {
  float most = 0;
  for (int d = 0; d < dim; ++d) most = std::max(most, std::fabs(x[d]));
  const float scale = most / 127;
  for (int d = 0; d < dim; ++d) x[d] = scale * std::nearbyint(x[d] * (127 / most));
  return scale;
}

// Where element d of a token stands in its block, as keys and as values.
inline size_t key_byte(int /*dim*/, int64_t token, int d) {
  return static_cast<size_t>((int64_t{d} / 4 * kBlockTokens + token) * 4 + d % 4);
}
inline size_t value_byte(int dim, int64_t token, int d) {
  return static_cast<size_t>((token / 4 * dim + d) * 4 + token % 4);
}
using BytePlace = size_t (*)(int dim, int64_t token, int d);

inline void write_eighths(std::vector<float> x, BytePlace place, int64_t token, uint8_t* block) {
  const auto dim = static_cast<int>(x.size());
  const float scale = to_eighths(x.data(), dim);
  for (int d = 0; d < dim; ++d) {
    block[place(dim, token, d)] = static_cast<uint8_t>(std::lround(x[size_t(d)] / scale) + 128);
  }
  std::memcpy(block + kv_scales(dim) + token * 4, &scale, sizeof scale);
}

inline float scale_of_eighths(const uint8_t* block, int dim, int64_t token) {
  float scale;
  std::memcpy(&scale, block + kv_scales(dim) + token * 4, sizeof scale);
  return scale;
}

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  float normal(float deviation = 1) { return deviation * normal_(engine_); }
  int below(int n) { return static_cast<int>(engine_() % static_cast<uint32_t>(n)); }
  std::vector<float> normals(size_t count, float deviation = 1) {
    std::vector<float> all(count);
    for (float& x : all) x = normal(deviation);
    return all;
  }

 private:
  std::mt19937 engine_;
  std::normal_distribution<float> normal_;
};

inline const DType kFloats[] = {DType::kF32, DType::kBF16, DType::kF16};

// One step of a type near x: what rounding to it may cost, twice over.
inline double rounding(DType type, double x) {
  const double unit = type == DType::kF32 ? 1e-6 : type == DType::kBF16 ? 8e-3 : 1e-3;
  return unit * std::fabs(x) + (type == DType::kF16 ? 1e-7 : 0);
}

}  // namespace tensormill::testing
