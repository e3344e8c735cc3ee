#pragma once

// How the CPU's table entries split work over the thread team. The functions of one level know
// nothing of threads; here nothing is computed, so no result depends on a split.

#include <atomic>
#include <utility>

#include "kernels/cpu/level.h"
#include "kernels/cpu_stream.h"

namespace tensormill {

// Rows that one thread takes at least.
inline constexpr int64_t kRowGrain = 2;
// Rows below which waking the team costs more than it saves.
inline constexpr int64_t kRopeRows = 8;

// f(begin, end) over ranges of [0, count) with borders at multiples of `grain`.
template <class F>
void for_range(Stream stream, int64_t count, int64_t grain, F&& f) {
  if (stream != nullptr) return team_of(stream)->parallel(count, grain, std::forward<F>(f));
  if (count > 0) f(int64_t{0}, count);
}

inline int threads_of(Stream stream) {
  return stream == nullptr ? 1 : team_of(stream)->size();
}

// f(i) for i in [0, count), each thread taking the next one when it is free.
template <class F>
void take_turns(Stream stream, int32_t count, F&& f) {
  std::atomic<int32_t> next{0};
  for_range(stream, threads_of(stream), 1, [&](int64_t, int64_t) {
    for (int32_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) f(i);
  });
}

void cpu_rope(const RopeArgs& args, Stream stream);
void cpu_linear(const CpuLevel& level, const LinearArgs& args, Stream stream);
// Writes rows.q from rows.x where it is wanted.
void cpu_quantize(const CpuLevel& level, const Rows& rows, int32_t width, int32_t count,
                  Stream stream);
void cpu_route(const RouteArgs& args, Stream stream);
void cpu_experts(const CpuLevel& level, const ExpertsArgs& args, Stream stream);
void cpu_attention(const CpuLevel& level, const AttentionArgs& args, Stream stream);
size_t cpu_attention_scratch(int32_t rows, int32_t heads, int32_t value_dim, int32_t max_keys);

}  // namespace tensormill
