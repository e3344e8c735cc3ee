#pragma once

#include "kernels/table.h"

namespace tensormill {

const KernelTable& cuda_table();

// Whether this program holds kernels for the thread's current GPU.
bool has_cuda_kernels();

}  // namespace tensormill
