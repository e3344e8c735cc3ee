#include <algorithm>

#include "kernels/cpu_kernels.h"

namespace tensormill {
namespace {

// A part's rows when there are too few outputs for all threads; enough that reading the weights
// again costs little beside the arithmetic.
constexpr int32_t kPartRows = 48;
// With so many panels a thread, whole panels are balanced well enough.
constexpr int32_t kManyPanels = 16;

// Weights of so few panels don't spread evenly, rows do; with so many rows for each thread, reading
// the weights again costs nothing.
constexpr int32_t kFewPanels = 64, kManyRows = 256;

constexpr int32_t kPanelUnits = kPanel / kOutputUnit;

// Into how many parts the rows go; the outputs of each are spread over an equal share of threads.
int32_t row_parts_of(int32_t rows, int32_t units, int32_t threads) {
  // Less than a panel a thread.
  int32_t parts = std::clamp(threads * kPanelUnits / units, 1, std::max(1, rows / kPartRows));
  if (units > kFewPanels * kPanelUnits) return parts;
  for (int32_t more = parts + 1; more <= std::min(threads, rows / kManyRows); ++more) {
    if (threads % more == 0) parts = more;
  }
  return parts;
}

// A thread takes one panel of one weight at a time.
void linear_copies(const CpuLevel& level, const LinearArgs& args, Stream stream) {
  const Packed& first = *args.weight;
  const size_t bytes = panel_bytes(first.format, first.outputs, first.inner);
  const int32_t units = (first.outputs + kOutputUnit - 1) / kOutputUnit;
  const int32_t panels = (units + kPanelUnits - 1) / kPanelUnits;
  const auto moved = [](const Rows& rows, int64_t elements) {
    return static_cast<char*>(rows.x) + elements * static_cast<int64_t>(dtype_size(rows.type));
  };
  take_turns(stream, args.copies * panels, [&](int32_t task) {
    const int32_t copy = task / panels, unit = task % panels * kPanelUnits;
    Packed weight = first;
    weight.data = static_cast<const char*>(first.data) + static_cast<size_t>(copy) * bytes;
    LinearArgs one = args;
    one.weight = &weight;
    one.in.x = moved(args.in, copy * args.in_step);
    one.out.x = moved(args.out, copy * args.out_step);
    level.linear(one, 0, *args.live.count, unit, std::min(unit + kPanelUnits, units));
  });
}

void linear_once(const CpuLevel& level, const LinearArgs& args, int32_t rows, Stream stream) {
  const int32_t threads = threads_of(stream);
  const int32_t units = (args.weight->outputs + kOutputUnit - 1) / kOutputUnit;
  const int32_t row_parts = row_parts_of(rows, units, threads);
  const int32_t output_parts = std::max(1, threads / row_parts);
  const int32_t grain = units >= kManyPanels * kPanelUnits * output_parts ? kPanelUnits : 1;
  const int32_t pieces = (units + grain - 1) / grain;
  for_range(stream, int64_t{row_parts} * output_parts, 1, [&](int64_t begin, int64_t end) {
    for (auto part = static_cast<int32_t>(begin); part < end; ++part) {
      // Neighbouring threads share outputs: their weights lie in the memory of one node.
      const int32_t row_part = part % row_parts, output_part = part / row_parts;
      const auto border = [&](int32_t p) {
        return std::min(units, static_cast<int32_t>(int64_t{pieces} * p / output_parts) * grain);
      };
      const auto row_border = [&](int32_t p) {
        return static_cast<int32_t>(int64_t{rows} * p / row_parts);
      };
      level.linear(args, row_border(row_part), row_border(row_part + 1), border(output_part),
                   border(output_part + 1));
    }
  });
}

}  // namespace

void cpu_linear(const CpuLevel& level, const LinearArgs& args, Stream stream) {
  const int32_t rows = *args.live.count;
  if (rows == 0) return;
  if (args.copies > 1) return linear_copies(level, args, stream);
  linear_once(level, args, rows, stream);
  cpu_quantize(level, args.out, args.gated ? args.weight->outputs / 2 : args.weight->outputs, rows,
               stream);
}

void cpu_quantize(const CpuLevel& level, const Rows& rows, int32_t width, int32_t count,
                  Stream stream) {
  if (rows.q == nullptr) return;
  for_range(stream, count, kRowGrain, [&](int64_t begin, int64_t end) {
    level.quantize(rows, width, static_cast<int32_t>(begin), static_cast<int32_t>(end));
  });
}

}  // namespace tensormill
