// Compiled once for each width of vectors.
#include "machine/loops.h"

namespace tensormill {
namespace {

#if defined(__AVX512F__)
constexpr size_t kWidth = 64;
#elif defined(__AVX2__)
constexpr size_t kWidth = 32;
#else
constexpr size_t kWidth = 16;
#endif
using Vector = uint64_t __attribute__((vector_size(kWidth)));
constexpr size_t kLine = 64, kAhead = 4096;

// One line of memory into the sums.
inline void read_line(const char* at, Vector& one, Vector& two) {
  const auto* vectors = reinterpret_cast<const Vector*>(at);
  for (size_t i = 0; i < kLine / kWidth; i += 2) {
    one += vectors[i];
    if (i + 1 < kLine / kWidth) two += vectors[i + 1];
  }
}

template <int streams, bool ahead>
void read(const char* data, size_t bytes) {
  const size_t share = bytes / streams;
  Vector sums[2 * streams] = {};
  for (size_t at = 0; at < share; at += 2 * kLine) {
#pragma GCC unroll 2
    for (int s = 0; s < streams; ++s) {
      const char* line = data + static_cast<size_t>(s) * share + at;
      if (ahead) {
        // Past the end nothing is fetched: a hint never faults.
        __builtin_prefetch(line + kAhead, 0, 2);
        __builtin_prefetch(line + kAhead + kLine, 0, 2);
      }
      read_line(line, sums[2 * s], sums[2 * s + 1]);
      read_line(line + kLine, sums[2 * s], sums[2 * s + 1]);
    }
  }
  for (Vector& sum : sums) asm volatile("" ::"m"(sum));
}

constexpr Reads kReads = {read<1, false>, read<2, false>, read<1, true>, read<2, true>};

}  // namespace

const Reads& READS_NAME() {
  return kReads;
}

}  // namespace tensormill
