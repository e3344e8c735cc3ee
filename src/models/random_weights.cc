#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <memory>
#include <random>

#include "kernels/cpu_stream.h"
#include "models/loader.h"
#include "ops/pack.h"
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

// Makes a Linear's weights some rows at a time and packs them, so that every device gets the same.
class RandomLinear {
 public:
  RandomLinear(const Draws& draws, WeightFormat format, DType type, ThreadTeam* team,
               const LoadContext& context)
      : draws_(draws), format_(format), type_(type), team_(team), context_(context) {}

  // Counts the seed on.
  void fill(const Linear& linear, uint64_t& seed) {
    constexpr int64_t kValues = int64_t{1} << 24;
    const LinearSpec& shape = linear.spec();
    if (shape.outputs == 0) return;
    const auto most = static_cast<int32_t>(std::max<int64_t>(1, kValues / shape.inner / kPanel) *
                                           int64_t{kPanel});
    const int32_t rows = std::min(most, shape.outputs);
    values_.resize(static_cast<size_t>(rows) * static_cast<size_t>(shape.inner) *
                   dtype_size(type_));
    for (int32_t copy = 0; copy < shape.copies; ++copy) {
      for (int32_t first = 0; first < shape.outputs; first += rows) {
        const int32_t count = std::min(rows, shape.outputs - first);
        draws_.fill(values_.data(), int64_t{count} * shape.inner, ++seed << 40, team_);
        pack(context_.kernels,
             {{values_.data(), type_, false, count, shape.inner, nullptr, first, count},
              linear.weight(copy),
              linear.format(format_),
              shape.outputs,
              shape.inner},
             context_.stream);
      }
    }
  }

 private:
  const Draws& draws_;
  WeightFormat format_;
  DType type_;
  ThreadTeam* team_;
  const LoadContext& context_;
  std::vector<std::byte> values_;
};

}  // namespace

void fill_random(ModelWeights& weights, const TransformerSpec& spec, const LoadContext& context) {
  const Draws draws(weights.table_type);
  std::unique_ptr<ThreadTeam> own;  // where the stream isn't the host's
  if (!context.device.on_host()) own = std::make_unique<ThreadTeam>(usable_cores());
  ThreadTeam* team = own ? own.get() : team_of(context.stream);
  RandomLinear random(draws, weights.format, weights.table_type, team, context);
  const int64_t total = weight_bytes(weights, spec, weights.format, context.kernels);
  int64_t done = 0;
  uint64_t seed = 0;
  const auto tell = [&](int64_t bytes) {
    done += bytes;
    context.progress("making random weights", done, total);
  };
  const auto fill_table = [&](Buffer& table) {
    const auto count = static_cast<int64_t>(table.size() / dtype_size(weights.table_type));
    draws.fill(table.host(), count, ++seed << 40, team);
    table.commit();
    tell(static_cast<int64_t>(table.size()));
  };
  const auto fill_linear = [&](const Linear& linear) {
    random.fill(linear, seed);
    tell(linear.bytes(weights.format, context.kernels));
  };
  const auto fill_norm = [](NormWeights& norm) {
    std::fill_n(static_cast<float*>(norm.weight.host()), norm.weight.size() / sizeof(float), 1.0F);
  };
  fill_table(weights.embedding);
  for (Buffer& positions : weights.positions) fill_table(positions);
  for_each_weight(weights, fill_linear, fill_norm);
}

}  // namespace tensormill
