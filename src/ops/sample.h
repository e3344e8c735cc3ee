#pragma once

#include "kernels/table.h"

namespace tensormill {

// Chooses a token for each row of logits: see SampleArgs. The device must have an entry for it.
void sample(const KernelTable& kernels, const SampleArgs& args, Stream stream);

}  // namespace tensormill
