#pragma once

#include "kernels/table.h"

namespace tensormill::testing {

// Tables whose entries take the host's pointers and run the CUDA table's entries on copies in
// device memory (see copies.h): "cuda", and "cuda_spare", whose launch bounds lie beyond the counts
// of rows and sequences. Their scratch pointers aren't read. Null without a GPU.
const KernelTable* mirror();
const KernelTable* spare_mirror();

}  // namespace tensormill::testing
