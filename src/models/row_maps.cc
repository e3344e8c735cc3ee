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

}  // namespace tensormill
