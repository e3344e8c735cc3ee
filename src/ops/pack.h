#pragma once

#include "kernels/table.h"

namespace tensormill {

// Writes the source's rows, converted, into the packed weight (kernels.packed_bytes() bytes, zeroed
// before the first part). Errors: kInternal for sizes or types that contradict each other, or a
// row_map entry outside the source.
void pack(const KernelTable& kernels, const PackArgs& args, Stream stream);

}  // namespace tensormill
