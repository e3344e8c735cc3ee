#pragma once

#include "sampling/params.h"

namespace tensormill {

// Throws kBadRequest naming the first field out of range, its value and what is allowed.
void validate(const SamplingParams& params);

}  // namespace tensormill
