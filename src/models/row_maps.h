#pragma once

// Orders in which checkpoints store the rows of a fused query, key and value product; see RowMap.

#include "models/names.h"

namespace tensormill {

// Query, key and value of one head side by side, head after head. As many heads of keys as of
// queries.
int32_t rows_by_head(const AttentionSpec& attention, int32_t row);

// Group after group: the queries of the heads that share a key, that key, its value.
int32_t rows_by_group(const AttentionSpec& attention, int32_t row);

}  // namespace tensormill
