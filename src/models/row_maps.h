#pragma once

// Orders in which checkpoints store the rows of a fused query, key and value product; see RowMap.

#include "models/names.h"

namespace tensormill {

// Group after group: the queries of the heads that share a key, that key, its value. Where each
// head has its own key: query, key and value head by head.
int32_t rows_by_group(const AttentionSpec& attention, int32_t row);

}  // namespace tensormill
