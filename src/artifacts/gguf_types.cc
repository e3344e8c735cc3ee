#include "artifacts/gguf_types.h"

#include <cstring>

#include "artifacts/half.h"

namespace tensormill {
namespace {

// Block layouts as the format defines them. `small` blocks have 32 values, `super` blocks 256.
constexpr int kSmall = 32, kSuper = 256;

float half_at(const uint8_t* bytes) {
  uint16_t half;
  std::memcpy(&half, bytes, sizeof half);
  return half_to_float(half);
}

void from_f32(const uint8_t* in, float* out) {
  std::memcpy(out, in, sizeof *out);
}
void from_f16(const uint8_t* in, float* out) {
  *out = half_at(in);
}
void from_bf16(const uint8_t* in, float* out) {
  uint16_t value;
  std::memcpy(&value, in, sizeof value);
  *out = bfloat16_to_float(value);
}

// {f16 scale; u8 low[16]}: value i in the low nibble of byte i, value 16 + i in the high one.
void from_q4_0(const uint8_t* in, float* out) {
  const float d = half_at(in);
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>((in[2 + i] & 15) - 8);
    out[16 + i] = d * static_cast<float>((in[2 + i] >> 4) - 8);
  }
}

// {f16 scale, minimum; u8 low[16]}
void from_q4_1(const uint8_t* in, float* out) {
  const float d = half_at(in), m = half_at(in + 2);
  for (int i = 0; i < 16; ++i) {
    const float low = d * static_cast<float>(in[4 + i] & 15);
    const float high = d * static_cast<float>(in[4 + i] >> 4);
    out[i] = low + m;
    out[16 + i] = high + m;
  }
}

// The five-bit value i: its high bit is bit i of a little-endian word, its low ones as in q4.
int five_bits(const uint8_t* high, const uint8_t* low, int i) {
  const int bit = (high[i / 8] >> (i % 8)) & 1;
  const int nibble = i < 16 ? low[i] & 15 : low[i - 16] >> 4;
  return nibble | bit << 4;
}

// {f16 scale; u8 high[4], low[16]}
void from_q5_0(const uint8_t* in, float* out) {
  const float d = half_at(in);
  for (int i = 0; i < kSmall; ++i) {
    out[i] = d * static_cast<float>(five_bits(in + 2, in + 6, i) - 16);
  }
}

// {f16 scale, minimum; u8 high[4], low[16]}
void from_q5_1(const uint8_t* in, float* out) {
  const float d = half_at(in), m = half_at(in + 2);
  for (int i = 0; i < kSmall; ++i) {
    const float scaled = d * static_cast<float>(five_bits(in + 4, in + 8, i));
    out[i] = scaled + m;
  }
}

// {f16 scale; i8 values[32]}
void from_q8_0(const uint8_t* in, float* out) {
  const float d = half_at(in);
  for (int i = 0; i < kSmall; ++i) out[i] = static_cast<float>(static_cast<int8_t>(in[2 + i])) * d;
}

// {u8 scales[16] (low nibble scale, high nibble minimum), values[64]; f16 d, dmin}: each 32 bytes
// of values hold four runs of 32, two bits each.
void from_q2_k(const uint8_t* in, float* out) {
  const uint8_t *scales = in, *values = in + 16;
  const float d = half_at(in + 80), dmin = half_at(in + 82);
  for (int i = 0; i < kSuper; ++i) {
    const int run = i / 32, value = (values[run / 4 * 32 + i % 32] >> (run % 4 * 2)) & 3;
    const float scale = d * static_cast<float>(scales[i / 16] & 15);
    const float minimum = dmin * static_cast<float>(scales[i / 16] >> 4);
    const float scaled = scale * static_cast<float>(value);
    out[i] = scaled - minimum;
  }
}

// {u8 high[32], values[64], scales[12]; f16 d}: a clear high bit takes 4 away; scales have six
// bits, four of them in scales[0..8), two in scales[8..12).
void from_q3_k(const uint8_t* in, float* out) {
  const uint8_t *high = in, *values = in + 32, *scales = in + 96;
  const float d = half_at(in + 108);
  for (int i = 0; i < kSuper; ++i) {
    const int run = i / 32, group = i / 16;
    const int low = (values[run / 4 * 32 + i % 32] >> (run % 4 * 2)) & 3;
    const int value = low - ((high[i % 32] >> run & 1) != 0 ? 0 : 4);
    const int four = group < 8 ? scales[group] & 15 : scales[group - 8] >> 4;
    const int two = scales[8 + group % 4] >> (group / 4 * 2) & 3;
    const float scale = d * static_cast<float>((four | two << 4) - 32);
    out[i] = scale * static_cast<float>(value);
  }
}

// Scale and minimum of run `run` (of 8) from the 12 bytes that q4_K and q5_K pack them into.
void six_bit_pair(const uint8_t* packed, int run, int* scale, int* minimum) {
  if (run < 4) {
    *scale = packed[run] & 63;
    *minimum = packed[run + 4] & 63;
  } else {
    *scale = (packed[run + 4] & 15) | (packed[run - 4] >> 6) << 4;
    *minimum = (packed[run + 4] >> 4) | (packed[run] >> 6) << 4;
  }
}

// {f16 d, dmin; u8 scales[12], [high[32],] values[128]}: each 32 bytes of values hold a run in the
// low nibbles and the next run in the high ones; `high` gives bit 4 of run r in its bit r.
void from_q45_k(const uint8_t* in, const uint8_t* high, const uint8_t* values, float* out) {
  const float d = half_at(in), dmin = half_at(in + 2);
  for (int run = 0; run < kSuper / 32; ++run) {
    int scale = 0, minimum = 0;
    six_bit_pair(in + 4, run, &scale, &minimum);
    const float step = d * static_cast<float>(scale), shift = dmin * static_cast<float>(minimum);
    for (int i = 0; i < 32; ++i) {
      int value = values[run / 2 * 32 + i] >> (run % 2 * 4) & 15;
      if (high != nullptr) value |= (high[i] >> run & 1) << 4;
      const float scaled = step * static_cast<float>(value);
      out[run * 32 + i] = scaled - shift;
    }
  }
}

void from_q4_k(const uint8_t* in, float* out) {
  from_q45_k(in, nullptr, in + 16, out);
}
void from_q5_k(const uint8_t* in, float* out) {
  from_q45_k(in, in + 16, in + 48, out);
}

// {u8 low[128], high[64]; i8 scales[16]; f16 d}: two halves of 128 values, each of four runs of 32;
// a run's nibbles lie in 64 bytes of `low`, its upper two bits in 32 bytes of `high`.
void from_q6_k(const uint8_t* in, float* out) {
  const uint8_t *low = in, *high = in + 128, *scales = in + 192;
  const float d = half_at(in + 208);
  for (int i = 0; i < kSuper; ++i) {
    const int half = i / 128, run = i % 128 / 32, lane = i % 32;
    const int four = low[half * 64 + run % 2 * 32 + lane] >> (run / 2 * 4) & 15;
    const int two = high[half * 32 + lane] >> (run * 2) & 3;
    const float scale = d * static_cast<float>(static_cast<int8_t>(scales[i / 16]));
    out[i] = scale * static_cast<float>((four | two << 4) - 32);
  }
}

// {f32 d; i8 values[256]; i16 sums[16]}
void from_q8_k(const uint8_t* in, float* out) {
  float d;
  std::memcpy(&d, in, sizeof d);
  for (int i = 0; i < kSuper; ++i) out[i] = d * static_cast<float>(static_cast<int8_t>(in[4 + i]));
}

// The sixteen levels of the non-linear four-bit types.
constexpr int8_t kLevels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                1,    13,   25,  38,  53,  69,  89,  113};

// {f16 scale; u8 low[16]}
void from_iq4_nl(const uint8_t* in, float* out) {
  const float d = half_at(in);
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>(kLevels[in[2 + i] & 15]);
    out[16 + i] = d * static_cast<float>(kLevels[in[2 + i] >> 4]);
  }
}

// {f16 d; u16 high scales; u8 low scales[4], values[128]}: eight runs of 32 with six-bit scales
void from_iq4_xs(const uint8_t* in, float* out) {
  const float d = half_at(in);
  const int high = in[2] | in[3] << 8;
  for (int run = 0; run < kSuper / 32; ++run) {
    const int four = in[4 + run / 2] >> (run % 2 * 4) & 15, two = high >> (run * 2) & 3;
    const float scale = d * static_cast<float>((four | two << 4) - 32);
    const uint8_t* values = in + 8 + run * 16;
    for (int i = 0; i < 16; ++i) {
      out[run * 32 + i] = scale * static_cast<float>(kLevels[values[i] & 15]);
      out[run * 32 + 16 + i] = scale * static_cast<float>(kLevels[values[i] >> 4]);
    }
  }
}

constexpr GgufType kTypes[] = {
    {0, "F32", 1, 4, false, from_f32},
    {1, "F16", 1, 2, false, from_f16},
    {2, "Q4_0", kSmall, 18, true, from_q4_0},
    {3, "Q4_1", kSmall, 20, true, from_q4_1},
    {6, "Q5_0", kSmall, 22, true, from_q5_0},
    {7, "Q5_1", kSmall, 24, true, from_q5_1},
    {8, "Q8_0", kSmall, 34, true, from_q8_0},
    {10, "Q2_K", kSuper, 84, true, from_q2_k},
    {11, "Q3_K", kSuper, 110, true, from_q3_k},
    {12, "Q4_K", kSuper, 144, true, from_q4_k},
    {13, "Q5_K", kSuper, 176, true, from_q5_k},
    {14, "Q6_K", kSuper, 210, true, from_q6_k},
    {15, "Q8_K", kSuper, 292, true, from_q8_k},
    {20, "IQ4_NL", kSmall, 18, true, from_iq4_nl},
    {23, "IQ4_XS", kSuper, 136, true, from_iq4_xs},
    {30, "BF16", 1, 2, false, from_bf16},
};

}  // namespace

const GgufType* find_gguf_type(uint32_t id) {
  for (const GgufType& type : kTypes) {
    if (type.id == id) return &type;
  }
  return nullptr;
}

std::string supported_gguf_types() {
  std::string names;
  for (const GgufType& type : kTypes) {
    if (!names.empty()) names += ", ";
    names += type.name;
  }
  return names;
}

}  // namespace tensormill
