#include <algorithm>
#include <cstring>

#include "kernels/cpu_kernels.h"

namespace tensormill {
namespace {

constexpr int64_t kCopyRows = 8;
constexpr int32_t kPanelUnits = kPanel / kOutputUnit;

// The experts that have rows.
struct Busy {
  int32_t expert[kMaxExperts];
  int32_t count = 0;

  explicit Busy(const ExpertsArgs& args) {
    for (int32_t e = 0; e < args.experts; ++e) {
      if (args.routes.begin[e + 1] > args.routes.begin[e]) expert[count++] = e;
    }
  }
};

void take_quantized_rows(const ExpertsArgs& args, int64_t begin, int64_t end) {
  const int64_t groups = int8_groups(args.first.inner);
  for (int64_t place = begin; place < end; ++place) {
    std::copy_n(args.in.q + args.routes.row[place] * groups, groups, args.taken.q + place * groups);
  }
}

void take_rows(const ExpertsArgs& args, int64_t begin, int64_t end) {
  if (args.first.format == WeightFormat::kInt8) return take_quantized_rows(args, begin, end);
  const auto size = static_cast<int64_t>(dtype_size(args.in.type));
  const auto bytes = static_cast<size_t>(size * args.first.inner);
  for (int64_t place = begin; place < end; ++place) {
    std::memcpy(
        static_cast<char*>(args.taken.x) + place * args.taken.stride * size,
        static_cast<const char*>(args.in.x) + args.routes.row[place] * args.in.stride * size,
        bytes);
  }
}

// The same product of every busy expert, for its places: a thread takes one panel of one expert at
// a time, so that few rows keep all threads as busy as many do.
void multiply(const CpuLevel& level, const ExpertsArgs& args, const Busy& busy,
              const Packed& weights, const LinearArgs& shape, Stream stream) {
  const size_t bytes = panel_bytes(weights.format, weights.outputs, weights.inner);
  const int32_t units = (weights.outputs + kOutputUnit - 1) / kOutputUnit;
  const int32_t panels = (units + kPanelUnits - 1) / kPanelUnits;
  take_turns(stream, busy.count * panels, [&](int32_t task) {
    const int32_t expert = busy.expert[task / panels], first = task % panels * kPanelUnits;
    Packed weight = weights;
    weight.data = static_cast<const char*>(weights.data) + static_cast<size_t>(expert) * bytes;
    LinearArgs linear = shape;
    linear.weight = &weight;
    level.linear(linear, args.routes.begin[expert], args.routes.begin[expert + 1], first,
                 std::min(first + kPanelUnits, units));
  });
}

void add_up(const ExpertsArgs& args, int64_t begin, int64_t end) {
  const int64_t width = args.second.outputs;
  for (int64_t row = begin; row < end; ++row) {
    float* out = args.out + row * width;
    if (args.addend == nullptr) {
      std::fill_n(out, width, 0.0F);
    } else {
      std::copy_n(args.addend + row * width, width, out);
    }
    for (int32_t i = 0; i < args.active; ++i) {
      const float weight = args.routes.weight[row * args.active + i];
      const float* value = args.value + args.routes.place[row * args.active + i] * width;
      for (int64_t d = 0; d < width; ++d) out[d] += weight * value[d];
    }
  }
}

}  // namespace

void cpu_experts(const CpuLevel& level, const ExpertsArgs& args, Stream stream) {
  const int32_t rows = *args.live.count;
  const Busy busy(args);
  for_range(stream, int64_t{rows} * args.active, kCopyRows,
            [&](int64_t begin, int64_t end) { take_rows(args, begin, end); });
  LinearArgs first{};
  first.act = args.act;
  first.gated = args.gated;
  first.in = args.taken;
  first.out = args.inner;
  multiply(level, args, busy, args.first, first, stream);
  cpu_quantize(level, args.inner, args.second.inner, rows * args.active, stream);
  LinearArgs second{};
  second.in = args.inner;
  second.out = {args.value, DType::kF32, args.second.outputs};
  multiply(level, args, busy, args.second, second, stream);
  for_range(stream, rows, kCopyRows, [&](int64_t begin, int64_t end) { add_up(args, begin, end); });
}

}  // namespace tensormill
