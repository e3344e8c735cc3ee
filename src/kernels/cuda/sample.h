#pragma once

#include "kernels/cuda/context.h"

namespace tensormill {

// sample_draw.cu: rows that want more than the most likely token; leaves the others alone.
void cuda_sample_draw(const SampleArgs& args, float* spill, CudaContext& context);

// Values of scratch memory that cuda_sample_draw() needs on the current device.
size_t sample_spill(int32_t rows, int32_t vocabulary);

}  // namespace tensormill
