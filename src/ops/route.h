#pragma once

#include "kernels/table.h"

namespace tensormill {

// Which experts each row takes, with what weights, and each expert's rows. Errors: kInternal for
// counts or pointers that contradict each other.
void route(const KernelTable& kernels, const RouteArgs& args, Stream stream);

}  // namespace tensormill
