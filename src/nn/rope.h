#pragma once

#include <vector>

#include "nn/spec.h"

namespace tensormill {

// The angles of one position, [spec.dim / 2], scaling applied as Hugging Face's
// modeling_rope_utils.py does. For kDynamic those of a sequence within original_length.
std::vector<float> inverse_frequencies(const RopeSpec& spec);

}  // namespace tensormill
