#pragma once

#include <cstddef>
#include <cstdint>

namespace tensormill {

// Ways to read memory, each of `bytes` (a multiple of 4096) at `data`, on the calling thread.
struct Reads {
  void (*one_stream)(const char* data, size_t bytes);
  void (*two_streams)(const char* data, size_t bytes);
  void (*one_ahead)(const char* data, size_t bytes);  // prefetching 4 kB ahead into L2
  void (*two_ahead)(const char* data, size_t bytes);
};
const Reads& reads_portable();
const Reads& reads_avx2();
const Reads& reads_avx512();

// Arithmetic on registers alone: so many rounds; the result is the operations done (a product and
// an addition are two).
double fma_avx2(int64_t rounds);
double fma_avx512(int64_t rounds);
double bf16_avx512(int64_t rounds);
double int8_avx512(int64_t rounds);
double bf16_amx(int64_t rounds);
double int8_amx(int64_t rounds);

// Which of the tiles' products this machine has, once the system has allowed them to this process.
struct AmxProducts {
  bool bf16 = false, int8 = false;
};
AmxProducts allow_amx();

}  // namespace tensormill
