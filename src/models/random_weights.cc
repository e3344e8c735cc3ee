#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <random>

#include "kernels/cpu_stream.h"
#include "models/loader.h"
#include "tensor/convert.h"

namespace tensormill {
namespace {

constexpr float kDeviation = 0.02F;
constexpr size_t kDraws = size_t{1} << 16;

// 65536 draws in the form that is stored; a value of the model is one of them, by a hash of its
// place, so that a billion take seconds and any thread can write any part.
class Draws {
 public:
  explicit Draws(DType type) : size_(dtype_size(type)) {
    std::mt19937 engine(20240817);
    std::normal_distribution<float> normal(0, kDeviation);
    std::vector<float> values(kDraws);
    std::generate(values.begin(), values.end(), [&] { return normal(engine); });
    bytes_.resize(kDraws * size_);
    convert(values.data(), DType::kF32, bytes_.data(), type, kDraws);
  }

  void fill(void* to, int64_t count, uint64_t seed, ThreadTeam* team) const {
    const auto part = [&](int64_t begin, int64_t end) {
      if (size_ == sizeof(uint32_t)) {
        write<uint32_t>(to, begin, end, seed);
      } else {
        write<uint16_t>(to, begin, end, seed);
      }
    };
    constexpr int64_t kGrain = 1 << 16;
    if (team == nullptr) return part(0, count);
    team->parallel(count, kGrain, [&](int64_t begin, int64_t end) { part(begin, end); });
  }

 private:
  // Four values from each step of a splitmix64 over the place.
  template <class T>
  void write(void* to, int64_t begin, int64_t end, uint64_t seed) const {
    const T* draws = reinterpret_cast<const T*>(bytes_.data());
    T* out = static_cast<T*>(to);
    for (int64_t i = begin; i < end; i += 4) {
      uint64_t x = seed + (static_cast<uint64_t>(i) / 4 + 1) * 0x9E3779B97F4A7C15U;
      x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
      x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
      x ^= x >> 31;
      for (int64_t j = i; j < std::min(i + 4, end); ++j, x >>= 16) out[j] = draws[x % kDraws];
    }
  }

  size_t size_;
  std::vector<std::byte> bytes_;
};

// Packed outputs and inputs beyond the weight's own must stay zero.
void clear_padding(const Packed& packed, WeightFormat format) {
  const size_t size = dtype_size(plain_type(format));
  const size_t group = format == WeightFormat::kBF16 ? 2 : 1;  // inputs side by side
  const size_t outputs = static_cast<size_t>(packed.outputs);
  const size_t inner = static_cast<size_t>(packed.inner);
  const size_t steps = (inner + group - 1) / group, panels = (outputs + kPanel - 1) / kPanel;
  auto* bytes = static_cast<std::byte*>(const_cast<void*>(packed.data));
  const size_t step_bytes = kPanel * group * size;
  const size_t used = outputs - (panels - 1) * kPanel;
  std::byte* last_panel = bytes + (panels - 1) * steps * step_bytes;
  for (size_t s = 0; s < steps; ++s) {
    std::byte* step = last_panel + s * step_bytes;
    std::fill(step + used * group * size, step + step_bytes, std::byte{0});
  }
  if (inner % group == 0) return;
  for (size_t p = 0; p < panels; ++p) {
    std::byte* step = bytes + (p * steps + steps - 1) * step_bytes;
    for (size_t o = 0; o < kPanel; ++o) {
      std::fill_n(step + (o * group + 1) * size, size, std::byte{0});
    }
  }
}

}  // namespace

void fill_random(ModelWeights& weights, const TransformerSpec& spec, const LoadContext& context) {
  const Draws draws(weights.table_type);
  ThreadTeam* team = team_of(context.stream);
  const int64_t total = weight_bytes(weights, spec, weights.format);
  int64_t done = 0;
  uint64_t seed = 0;
  const auto fill = [&](void* to, size_t bytes) {
    const auto count = static_cast<int64_t>(bytes / dtype_size(weights.table_type));
    draws.fill(to, count, ++seed << 40, team);
    done += static_cast<int64_t>(bytes);
    if (context.progress) context.progress("making random weights", done, total);
  };
  const auto fill_linear = [&](const Linear& linear) {
    const LinearSpec& shape = linear.spec();
    fill(linear.weight(), static_cast<size_t>(shape.copies) *
                              packed_bytes(weights.format, shape.outputs, shape.inner));
    for (int32_t c = 0; c < shape.copies; ++c) clear_padding(linear.packed(c), weights.format);
  };
  const auto fill_norm = [](const NormWeights& norm) {
    std::fill_n(norm.weight.as<float>(), norm.weight.size() / sizeof(float), 1.0F);
  };
  fill(weights.embedding.data(), weights.embedding.size());
  for (const Buffer& positions : weights.positions) fill(positions.data(), positions.size());
  for_each_weight(weights, fill_linear, fill_norm);
}

}  // namespace tensormill
