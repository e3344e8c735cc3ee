#include "kernels/cpu_kernels.h"

#include <cmath>

namespace tensormill {
namespace {

// f_i of a row whose length exceeds the original one: dynamic NTK.
void stretched(const RopeArgs& args, int32_t length, float* inv_freq) {
  const double stretch =
      double{args.factor} * length / args.original_length - (double{args.factor} - 1);
  const double base = args.theta * std::pow(stretch, args.dim / (args.dim - 2.0));
  for (int32_t i = 0; i < args.dim / 2; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(args.dim);
    inv_freq[i] = 1.0f / std::pow(static_cast<float>(base), exponent);
  }
}

}  // namespace

void cpu_rope(const RopeArgs& args, Stream stream) {
  const int32_t half = args.dim / 2;
  for_range(stream, *args.live.count, kRopeRows, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      float* cosine = args.cos_sin + row * args.dim;
      float* sine = cosine + half;
      const float* inv_freq = args.inv_freq;
      if (args.lengths != nullptr && args.lengths[row] > args.original_length) {
        stretched(args, args.lengths[row], sine);  // each is read before its sine is written
        inv_freq = sine;
      }
      const auto position = static_cast<float>(args.positions[row]);
      for (int32_t i = 0; i < half; ++i) {
        const float angle = position * inv_freq[i];
        cosine[i] = std::cos(angle) * args.scale;
        sine[i] = std::sin(angle) * args.scale;
      }
    }
  });
}

}  // namespace tensormill
