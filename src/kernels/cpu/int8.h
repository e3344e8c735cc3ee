#pragma once

// Sums of products of four neighbours: weights u8 (w + 128), inputs s8, added up in int32 lanes.
// Nothing here may saturate, so vpmaddubsw has no place: without VNNI both sides are widened to 16
// bits, the even ones and the odd ones apart.

#include "kernels/cpu/simd.h"
#include "kernels/table.h"

namespace tensormill {
namespace {

[[gnu::always_inline]] inline int group_count(int inner) {
  return (inner + kInt8Group - 1) / kInt8Group;
}
// Bytes of a packed panel.
[[gnu::always_inline]] inline int64_t int8_panel_bytes(int inner) {
  return int64_t{group_count(inner)} * kInt8Scales + int64_t{(inner + 3) / 4 * 4} * kPanel;
}

// x to the nearest integer, ties to even; |x| < 2^22.
[[gnu::always_inline]] inline F round_to_integer(F x) {
  const F magic = set1(12582912.0f);
  return (x + magic) - magic;
}

#if defined(__AVX512F__)
[[gnu::always_inline]] inline I set1_int(int32_t x) {
  return _mm512_set1_epi32(x);
}
[[gnu::always_inline]] inline F to_float(I x) {
  return _mm512_cvtepi32_ps(x);
}
// Integers from -128 to 127.
[[gnu::always_inline]] inline void store_int8(int8_t* to, F x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x)));
}
[[gnu::always_inline]] inline I load_bytes(const uint8_t* p) {
  return _mm512_loadu_si512(p);
}
#elif defined(__AVX2__)
[[gnu::always_inline]] inline I set1_int(int32_t x) {
  return _mm256_set1_epi32(x);
}
[[gnu::always_inline]] inline F to_float(I x) {
  return _mm256_cvtepi32_ps(x);
}
[[gnu::always_inline]] inline void store_int8(int8_t* to, F x) {
  const I wide = _mm256_cvtps_epi32(x);
  const __m128i half =
      _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packs_epi16(half, half));
}
[[gnu::always_inline]] inline I load_bytes(const uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
#else
[[gnu::always_inline]] inline F to_float(I x) {
  return __builtin_convertvector(x, F);
}
[[gnu::always_inline]] inline void store_int8(int8_t* to, F x) {
  // NaN has no integer.
  for (int i = 0; i < kLanes; ++i) to[i] = static_cast<int8_t>(x[i] == x[i] ? x[i] : 0.0f);
}
[[gnu::always_inline]] inline I load_bytes(const uint8_t* p) {
  I bytes;
  __builtin_memcpy(&bytes, p, sizeof bytes);
  return bytes;
}
#endif

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)

// Four inputs as they lie in a row.
struct Quads {
  using Input = int8_t;
  // The inputs of some groups as input() wants them, where need be in `wide`.
  [[gnu::always_inline]] static const int8_t* place(const Int8Group* group, int /*groups*/,
                                                    int8_t* /*wide*/) {
    return group->q;
  }
  struct Weight {
    I bytes;
  };
  [[gnu::always_inline]] static Weight load(const uint8_t* p) { return {load_bytes(p)}; }
  struct Four {
    I bytes;
  };
  [[gnu::always_inline]] static Four input(const int8_t* x, int k) {
    int32_t four;
    __builtin_memcpy(&four, x + k, sizeof four);
    return {set1_int(four)};
  }
  [[gnu::always_inline]] static I add(I sum, const Weight& w, const Four& x) {
    // GCC 12 copies the sums around its intrinsic, and runs out of registers.
#ifdef __AVX512VNNI__
    asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(w.bytes), "v"(x.bytes));
#else
    asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(w.bytes), "x"(x.bytes));
#endif
    return sum;
  }
};

#else

typedef int16_t Shorts __attribute__((vector_size(16)));

#if defined(__AVX512F__)
[[gnu::always_inline]] inline I even_bytes(I x) {
  return _mm512_and_si512(x, _mm512_set1_epi32(0x00ff00ff));
}
[[gnu::always_inline]] inline I odd_bytes(I x) {
  return _mm512_srli_epi16(x, 8);
}
[[gnu::always_inline]] inline I add_pairs(I sum, I w, I x) {
  return _mm512_add_epi32(sum, _mm512_madd_epi16(w, x));
}
#elif defined(__AVX2__)
[[gnu::always_inline]] inline I even_bytes(I x) {
  return _mm256_and_si256(x, _mm256_set1_epi32(0x00ff00ff));
}
[[gnu::always_inline]] inline I odd_bytes(I x) {
  return _mm256_srli_epi16(x, 8);
}
[[gnu::always_inline]] inline I add_pairs(I sum, I w, I x) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(w, x));
}
#else
[[gnu::always_inline]] inline I even_bytes(I x) {
  return x & set1_int(0x00ff00ff);
}
[[gnu::always_inline]] inline I odd_bytes(I x) {
  return (x >> 8) & set1_int(0x00ff00ff);
}
// A product of a u8 and an s8 fits into 16 bits.
[[gnu::always_inline]] inline I add_pairs(I sum, I w, I x) {
  const I products = bits_as<I>(bits_as<Shorts>(w) * bits_as<Shorts>(x));
  return sum + ((products << 16) >> 16) + (products >> 16);
}
#endif

// A group in 16 bits: the first and third of each four one after another, then the others.
inline void widen_group(const int8_t* q, int16_t* wide) {
  for (int k = 0; k < kInt8Group; k += 16, wide += 8) {
    Shorts pairs;
    __builtin_memcpy(&pairs, q + k, sizeof pairs);
    const Shorts even = (pairs << 8) >> 8, odd = pairs >> 8;
    __builtin_memcpy(wide, &even, sizeof even);
    __builtin_memcpy(wide + kInt8Group / 2, &odd, sizeof odd);
  }
}

// Inputs as widen_group() leaves them.
struct Quads {
  using Input = int16_t;
  [[gnu::always_inline]] static const int16_t* place(const Int8Group* group, int groups,
                                                     int16_t* wide) {
    for (int g = 0; g < groups; ++g) widen_group(group[g].q, wide + g * kInt8Group);
    return wide;
  }
  struct Weight {
    I even, odd;
  };
  [[gnu::always_inline]] static Weight load(const uint8_t* p) {
    const I bytes = load_bytes(p);
    return {even_bytes(bytes), odd_bytes(bytes)};
  }
  struct Four {
    I even, odd;
  };
  [[gnu::always_inline]] static Four input(const int16_t* x, int k) {
    int32_t even, odd;
    __builtin_memcpy(&even, x + k / 2, sizeof even);
    __builtin_memcpy(&odd, x + k / 2 + kInt8Group / 2, sizeof odd);
    return {set1_int(even), set1_int(odd)};
  }
  [[gnu::always_inline]] static I add(I sum, const Weight& w, const Four& x) {
    return add_pairs(add_pairs(sum, w.even, x.even), w.odd, x.odd);
  }
};

#endif

// The largest magnitude that counts: smaller groups are zero, since their scale's inverse isn't
// finite.
constexpr float kLeastMagnitude = 1e-30f;

// Quantizes one group of `count` values; beyond them zeros.
inline void quantize_group(const float* x, int count, Int8Group& group) {
  alignas(64) float padded[kInt8Group];
  if (count < kInt8Group) {
    __builtin_memset(padded, 0, sizeof padded);
    __builtin_memcpy(padded, x, static_cast<size_t>(count) * sizeof(float));
    x = padded;
  }
  F most = zero(), invalid = zero();
  for (int i = 0; i < kInt8Group; i += kLanes) {
    const F value = load(x + i);
    most = max(most, absolute(value));
    invalid = fma(value, zero(), invalid);  // NaN where a value is NaN or infinite
  }
  const float largest = reduce_max(most), nan = reduce_add(invalid);
  const float inverse = largest < kLeastMagnitude ? 0.0f : 127.0f / largest;
  group.scale = (largest < kLeastMagnitude ? 0.0f : largest / 127.0f) + nan;
  F sum = zero();
  for (int i = 0; i < kInt8Group; i += kLanes) {
    const F q = round_to_integer(load(x + i) * set1(inverse));
    sum = sum + q;
    store_int8(group.q + i, q);
  }
  group.start = nan == 0 ? -128 * static_cast<int32_t>(reduce_add(sum)) : 0;
}

}  // namespace
}  // namespace tensormill
