#pragma once

// sampling/softmax.h and sampling/philox.h with the same bits on the GPU.

#include <cstdint>

namespace tensormill {

// Every operation rounds once, as in the CPU's code: a fused one would give other bits.
__device__ __forceinline__ float exp_negative(float x) {
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to the nearest integer
  if (x < -87.0f) return 0.0f;
  const float n = __fadd_rn(__fadd_rn(__fmul_rn(x, 1.44269504f), kMagic), -kMagic);
  const float r =
      __fadd_rn(__fadd_rn(x, -__fmul_rn(n, 0.693359375f)), __fmul_rn(n, 2.12194440e-4f));
  float p = 1.9875691500e-4f;
  p = __fadd_rn(__fmul_rn(p, r), 1.3981999507e-3f);
  p = __fadd_rn(__fmul_rn(p, r), 8.3334519073e-3f);
  p = __fadd_rn(__fmul_rn(p, r), 4.1665795894e-2f);
  p = __fadd_rn(__fmul_rn(p, r), 1.6666665459e-1f);
  p = __fadd_rn(__fmul_rn(p, r), 5.0000001201e-1f);
  p = __fadd_rn(__fadd_rn(__fmul_rn(__fmul_rn(p, r), r), r), 1.0f);
  return __fmul_rn(p, __int_as_float((static_cast<int>(n) + 127) << 23));
}

// The draw in [0, 1) that belongs to one step of one request.
__device__ inline double uniform_draw(const uint32_t* seed, uint32_t step) {
  constexpr uint32_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
  constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
  uint32_t key0 = seed[0], key1 = seed[1];
  uint32_t c0 = step, c1 = 0, c2 = 0, c3 = 0;
  for (int round = 0; round < 10; ++round) {
    const uint32_t a_high = __umulhi(kMultiplier0, c0), a_low = kMultiplier0 * c0;
    const uint32_t b_high = __umulhi(kMultiplier1, c2), b_low = kMultiplier1 * c2;
    c0 = b_high ^ c1 ^ key0;
    c1 = b_low;
    c2 = a_high ^ c3 ^ key1;
    c3 = a_low;
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
  const uint64_t bits = (static_cast<uint64_t>(c0) << 32 | c1) >> 11;
  return static_cast<double>(bits) * 0x1p-53;
}

}  // namespace tensormill
