#include <algorithm>
#include <cmath>

#include "kernels/cpu_kernels.h"

namespace tensormill {
namespace {

// In float, where the reference rounds too.
float dynamic_base(const RopeArgs& args, int32_t length) {
  const float stretch =
      args.factor * static_cast<float>(length) / static_cast<float>(args.original_length) -
      (args.factor - 1);
  return args.theta * std::pow(stretch, static_cast<float>(args.dim / (args.dim - 2.0)));
}

// In double, as its reference computes.
float powers_base(const RopeArgs& args, int32_t prompt) {
  const double ratio = static_cast<double>(prompt) / args.original_length;
  const double stretch = std::exp2(std::ceil(std::log(ratio) / std::log(2.0) + 1)) - 1;
  return static_cast<float>(args.theta * std::pow(stretch, args.dim / (args.dim - 2.0)));
}

// The frequencies of one row after the other. Neighbours mostly share a base: it is remembered.
class Frequencies {
 public:
  explicit Frequencies(const RopeArgs& args) : args_(args) {}

  const float* of(int64_t row) {
    if (args_.length == RopeLength::kNone) return args_.inv_freq;
    const int32_t prompt = args_.prompts[row];
    const int32_t length =
        args_.length == RopeLength::kPowers ? prompt : std::max(prompt, args_.slots[row] + 1);
    if (length <= args_.original_length) return args_.inv_freq;
    if (args_.length == RopeLength::kLong) return args_.long_inv_freq;
    if (length != length_) {
      length_ = length;
      set_base(args_.length == RopeLength::kPowers ? powers_base(args_, length)
                                                   : dynamic_base(args_, length));
    }
    return own_;
  }

 private:
  void set_base(float base) {
    if (base == base_) return;
    base_ = base;
    for (int32_t i = 0; i < args_.dim / 2; ++i) {
      const float exponent = static_cast<float>(2 * i) / static_cast<float>(args_.dim);
      own_[i] = 1.0f / std::pow(base, exponent);
    }
  }

  const RopeArgs& args_;
  int32_t length_ = 0;
  float base_ = 0;
  float own_[kMaxHeadDim / 2];
};

}  // namespace

void cpu_rope(const RopeArgs& args, Stream stream) {
  const int32_t half = args.dim / 2;
  for_range(stream, *args.live.count, kRopeRows, [&](int64_t begin, int64_t end) {
    Frequencies frequencies(args);
    for (int64_t row = begin; row < end; ++row) {
      const float* inv_freq = frequencies.of(row);
      for (int32_t axis = 0; axis < args.axes; ++axis) {
        float* cosine = args.cos_sin + (row * args.axes + axis) * args.dim;
        float* sine = cosine + half;
        const auto position = static_cast<float>(args.positions[axis][row]);
        for (int32_t i = 0; i < half; ++i) {
          const float angle = position * inv_freq[i];
          cosine[i] = std::cos(angle) * args.scale;
          sine[i] = std::sin(angle) * args.scale;
        }
      }
    }
  });
}

}  // namespace tensormill
