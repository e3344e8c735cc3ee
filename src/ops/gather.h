#pragma once

#include "kernels/table.h"

namespace tensormill {

// to[i] = from[rows[i]] for rows of `width` f32 values. Errors: kInternal.
void gather(const KernelTable& kernels, const float* from, const int32_t* rows, float* to,
            int32_t width, Live live, Stream stream);

}  // namespace tensormill
