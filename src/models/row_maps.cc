#include "models/row_maps.h"

namespace tensormill {

int32_t rows_by_group(const AttentionSpec& attention, int32_t row) {
  const int32_t shared = attention.heads / attention.kv_heads;
  const int32_t head = row / attention.dim;  // of the queries, then the keys, then the values
  int32_t group = head / shared, place = head % shared;
  if (head >= attention.heads) {
    group = (head - attention.heads) % attention.kv_heads;
    place = shared + (head - attention.heads) / attention.kv_heads;
  }
  return (group * (shared + 2) + place) * attention.dim + row % attention.dim;
}

int32_t rows_by_group(const AttentionSpec& attention, int32_t row) {
  const int32_t shared = attention.heads / attention.kv_heads, dim = attention.dim;
  const int32_t head = row / dim, lane = row % dim;  // queries' heads, keys' heads, values' heads
  int32_t group = 0, place = 0;
  if (head < attention.heads) {
    group = head / shared;
    place = head % shared;
  } else {
    group = (head - attention.heads) % attention.kv_heads;
    place = shared + (head - attention.heads) / attention.kv_heads;
  }
  return (group * (shared + 2) + place) * dim + lane;
}

}  // namespace tensormill
