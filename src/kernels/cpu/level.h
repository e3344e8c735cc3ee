#pragma once

#include "kernels/table.h"

namespace tensormill {

// Units in which the outputs of a product are split over threads.
inline constexpr int kOutputUnit = 16;
// Pairs of (query row, head) that one piece of attention work takes at most.
inline constexpr int kAttentionTile = 96;

// A piece of attention: pairs [pair_begin, pair_end) of one sequence and kv head, where pair p is
// query row p / group and head p % group of that kv head; chunks [chunk_begin, chunk_end) of keys.
struct AttentionItem {
  int32_t sequence, kv_head, pair_begin, pair_end, chunk_begin, chunk_end;
  // Null: the outputs are written. Otherwise each chunk's maximum, sum and values go to
  // partial[((row * heads + head) * chunks + chunk) * (value_dim + 2)].
  float* partial;
  int32_t chunks;
};

// The functions of one instruction-set level. Each runs on the calling thread over a range.
struct CpuLevel {
  void (*embed)(const EmbedArgs&, int32_t row_begin, int32_t row_end);
  void (*residual)(const ResidualArgs&, int32_t row_begin, int32_t row_end);
  // units of kOutputUnit outputs
  void (*linear)(const LinearArgs&, int32_t row_begin, int32_t row_end, int32_t unit_begin,
                 int32_t unit_end);
  // Rows of `width` values from rows.x to rows.q.
  void (*quantize)(const Rows&, int32_t width, int32_t row_begin, int32_t row_end);
  void (*to_cache)(const ToCacheArgs&, int32_t row_begin, int32_t row_end);
  void (*attention)(const AttentionArgs&, const AttentionItem&);
  // Merges the partial results of an item's pairs, all chunks, into the outputs.
  void (*attention_merge)(const AttentionArgs&, const AttentionItem&);
  void (*pack)(const PackArgs&, int32_t panel_begin, int32_t panel_end);
  LogitKernels logits;
};

const CpuLevel& cpu_level_portable();
#ifdef TENSORMILL_X86_LEVELS
const CpuLevel& cpu_level_avx2();
const CpuLevel& cpu_level_avx2_vnni();
const CpuLevel& cpu_level_avx512();
const CpuLevel& cpu_level_avx512_vnni();
const CpuLevel& cpu_level_avx512_bf16();
const CpuLevel& cpu_level_avx512_amx();
#endif

// TENSORMILL_LEVEL is the level that an object is compiled for: its functions carry the name.
#ifdef TENSORMILL_LEVEL
#define TENSORMILL_JOIN_(name, level) name##_##level
#define TENSORMILL_JOIN(name, level) TENSORMILL_JOIN_(name, level)
#define LEVEL(name) TENSORMILL_JOIN(name, TENSORMILL_LEVEL)
void LEVEL(embed)(const EmbedArgs&, int32_t, int32_t);
void LEVEL(residual)(const ResidualArgs&, int32_t, int32_t);
void LEVEL(linear)(const LinearArgs&, int32_t, int32_t, int32_t, int32_t);
void LEVEL(linear_int8)(const LinearArgs&, int32_t, int32_t, int32_t, int32_t);
#ifdef __AMX_TILE__
void LEVEL(linear_tiles)(const LinearArgs&, int32_t, int32_t, int32_t, int32_t);
void LEVEL(linear_int8_tiles)(const LinearArgs&, int32_t, int32_t, int32_t, int32_t);
#endif
void LEVEL(quantize)(const Rows&, int32_t, int32_t, int32_t);
void LEVEL(to_cache)(const ToCacheArgs&, int32_t, int32_t);
void LEVEL(attention)(const AttentionArgs&, const AttentionItem&);
void LEVEL(attention_int8)(const AttentionArgs&, const AttentionItem&);
#ifdef __AVX512BF16__
void LEVEL(attention_bf16)(const AttentionArgs&, const AttentionItem&);
#endif
void LEVEL(attention_merge)(const AttentionArgs&, const AttentionItem&);
void LEVEL(pack)(const PackArgs&, int32_t, int32_t);
RowPeak LEVEL(peak)(const float*, int64_t);
double LEVEL(sum_exp)(const float*, int64_t, float);
void LEVEL(weigh)(const float*, int64_t, float, float, float*, float*, double*);
LogitMass LEVEL(mass)(const float*, const float*, int64_t, float);
int64_t LEVEL(maxima)(const float*, int64_t, int64_t, float*);
int64_t LEVEL(find)(const float*, int64_t, float, int32_t*);
#endif

}  // namespace tensormill
