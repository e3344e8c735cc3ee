#pragma once

#include <vector>

#include "kernels/table.h"

namespace tensormill::testing {

// Tables whose entries take the host's pointers and run the CUDA table's entries on copies in
// device memory (see copies.h): one whose launch bounds are the counts of rows and sequences, and
// some whose bounds lie beyond. Pointers to scratch aren't read. None without a GPU.
std::vector<const KernelTable*> mirrors();

}  // namespace tensormill::testing
