#include "models/row_maps.h"

namespace tensormill {

int32_t rows_by_head(const AttentionSpec& attention, int32_t row) {
  const int32_t part = row / attention.query_rows();
  const int32_t within = row % attention.query_rows();
  const int32_t head = within / attention.dim;
  return (head * 3 + part) * attention.dim + within % attention.dim;
}

}  // namespace tensormill
