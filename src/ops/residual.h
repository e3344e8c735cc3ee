#pragma once

#include "kernels/table.h"

namespace tensormill {

// Adds a branch to the residual stream and norms it for its readers: s = out(sum of partials +
// bias); r = carry * r + branch * s; y = in(r). Norms in f32; y in f32, bf16 or f16. With no
// partials only y = in(r) is done. With `take` rows are picked and the residual isn't written.
// Errors: kInternal for sizes, pointers or types that contradict
// each other.
void residual(const KernelTable& kernels, const ResidualArgs& args, Stream stream);

}  // namespace tensormill
