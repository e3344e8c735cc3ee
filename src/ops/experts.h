#pragma once

#include "kernels/table.h"

namespace tensormill {

// out = addend + the weighted results of each row's experts; the input has type
// kernels.types(format).input. Errors: kInternal for sizes, pointers or types that contradict each
// other.
void experts(const KernelTable& kernels, const ExpertsArgs& args, Stream stream);

}  // namespace tensormill
