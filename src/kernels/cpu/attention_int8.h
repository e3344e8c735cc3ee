#pragma once

// Sums of products of four neighbours for attention on a cache in 8 bits: bytes (x + 128) times
// multipliers of 16 bits. The sums are exact integers (they wrap, and what is taken off for the
// + 128 brings them back), so their order doesn't matter and every level has the same.

#include "kernels/cpu/int8.h"
#include "kernels/cpu/simd.h"

namespace tensormill {
namespace {

typedef int32_t Ints __attribute__((vector_size(sizeof(F))));
constexpr int kFour = 4;

// The largest multipliers: a query's so that kMaxHeadDim products of 127 fit into an int32, a
// weight's so that both of its bytes have a sign.
constexpr float kMostQuery = 16256, kMostWeight = 32639;

// The nearest integers, |x| < 2^22; anything for NaN.
[[gnu::always_inline]] inline Ints to_ints(F x) {
  const F magic = set1(12582912.0f);
  return bits_as<Ints>(x + magic) - bits_as<Ints>(magic);
}
[[gnu::always_inline]] inline F to_floats(Ints x) {
  return __builtin_convertvector(x, F);
}

// N multipliers in fours. With VNNI `first` has the high bytes and `second` the low ones, x = 256 *
// high + low; elsewhere `first` has numbers 0 and 2 of each four, `second` 1 and 3.
template <int N>
struct Multipliers {
  alignas(64) int32_t first[N / kFour];
  alignas(64) int32_t second[N / kFour];
  int32_t start;  // -128 times their sum: what a sum of products with bytes begins at
  float scale;
};

#ifdef __AVX512VNNI__

// Numbers [at, at + kLanes).
[[gnu::always_inline]] inline void store_fours(int32_t* first, int32_t* second, int at, Ints x) {
  const auto put = [at](int32_t* to, Ints bytes) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + at / kFour),
                     _mm512_cvtepi32_epi8(bits_as<I>(bytes)));
  };
  put(first, (x + 128) >> 8);
  put(second, x);
}

// A sum of products in kParts vectors: the sums over the high bytes and over the low ones.
struct Products {
  static constexpr int kParts = 2;
  struct Bytes {
    I all;
  };
  [[gnu::always_inline]] static Bytes load(const uint8_t* p) { return {load_bytes(p)}; }
  struct Four {
    I high, low;
  };
  [[gnu::always_inline]] static Four four(const int32_t* first, const int32_t* second) {
    return {set1_int(*first), set1_int(*second)};
  }
  template <int part>
  [[gnu::always_inline]] static Ints add(Ints sum, const Bytes& bytes, const Four& x) {
    // As in int8.h: GCC 12 copies the sums around its intrinsic.
    asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(bytes.all), "v"(part == 0 ? x.high : x.low));
    return sum;
  }
  [[gnu::always_inline]] static Ints whole(const Ints* parts) { return (parts[0] << 8) + parts[1]; }
};

#else

[[gnu::always_inline]] inline void store_fours(int32_t* first, int32_t* second, int at, Ints x) {
  int32_t some[kLanes];
  __builtin_memcpy(some, &x, sizeof some);
  for (int i = 0; i < kLanes; i += kFour) {
    first[(at + i) / kFour] = (some[i] & 0xffff) | some[i + 2] << 16;
    second[(at + i) / kFour] = (some[i + 1] & 0xffff) | some[i + 3] << 16;
  }
}

#if defined(__AVX512F__)
[[gnu::always_inline]] inline Ints products_of_pairs(Ints a, Ints b) {
  return bits_as<Ints>(_mm512_madd_epi16(bits_as<I>(a), bits_as<I>(b)));
}
#elif defined(__AVX2__)
[[gnu::always_inline]] inline Ints products_of_pairs(Ints a, Ints b) {
  return bits_as<Ints>(_mm256_madd_epi16(bits_as<I>(a), bits_as<I>(b)));
}
#else
[[gnu::always_inline]] inline Ints products_of_pairs(Ints a, Ints b) {
  return (a & 0xffff) * ((b << 16) >> 16) + (a >> 16) * (b >> 16);
}
#endif

struct Products {
  static constexpr int kParts = 1;
  struct Bytes {
    Ints even, odd;
  };
  [[gnu::always_inline]] static Bytes load(const uint8_t* p) {
    Ints bytes;
    __builtin_memcpy(&bytes, p, sizeof bytes);
    return {bytes & 0x00ff00ff, (bytes >> 8) & 0x00ff00ff};
  }
  struct Four {
    Ints even, odd;
  };
  [[gnu::always_inline]] static Four four(const int32_t* first, const int32_t* second) {
    return {Ints{} + *first, Ints{} + *second};
  }
  template <int>
  [[gnu::always_inline]] static Ints add(Ints sum, const Bytes& bytes, const Four& x) {
    return sum + products_of_pairs(bytes.even, x.even) + products_of_pairs(bytes.odd, x.odd);
  }
  [[gnu::always_inline]] static Ints whole(const Ints* parts) { return parts[0]; }
};

#endif

// Adds products to a sum of kParts vectors. A struct of them would stay in memory.
[[gnu::always_inline]] inline void add_products(Ints* parts, const Products::Bytes& bytes,
                                                const Products::Four& x) {
  parts[0] = Products::add<0>(parts[0], bytes, x);
  if constexpr (Products::kParts > 1) parts[1] = Products::add<1>(parts[1], bytes, x);
}

// Rounds numbers [begin, end) of x, whose size is `largest` at most, to multipliers of at most
// `most`; begin and end are multiples of kLanes. `nan` is 0 or NaN, and then so is the scale.
template <int N>
void round_fours(const float* x, int begin, int end, float most, float largest, float nan,
                 Multipliers<N>& to) {
  const bool any = largest >= kLeastMagnitude;
  const F inverse = set1(any ? most / largest : 0.0f);
  to.scale = (any ? largest / most : 0.0f) + nan;
  Ints sum{};
  for (int i = begin; i < end; i += kLanes) {
    const Ints integers = to_ints(load(x + i) * inverse);
    sum += integers;
    store_fours(to.first, to.second, i, integers);
  }
  int32_t total = 0;
  for (int i = 0; i < kLanes; ++i) total += sum[i];
  to.start = -128 * total;
}

// The same for x of any size. x NaN or infinite: scale is NaN.
template <int N>
void quantize_fours(const float* x, int begin, int end, float most, Multipliers<N>& to) {
  F top = zero(), invalid = zero();
  for (int i = begin; i < end; i += kLanes) {
    const F value = load(x + i);
    top = max(absolute(value), top);
    invalid = fma(value, zero(), invalid);
  }
  round_fours(x, begin, end, most, reduce_max(top), reduce_add(invalid), to);
}

}  // namespace
}  // namespace tensormill
