#pragma once

#include "kernels/table.h"

namespace tensormill {

const KernelTable& cuda_table();

// The architecture (80, 90, ...) that the kernels which would run on the thread's current GPU were
// written for; 0 where there are none.
int cuda_kernel_version();

}  // namespace tensormill
