#pragma once

#include <vector>

#include "nn/spec.h"

namespace tensormill {

// The angles of one position, [spec.dim / 2], scaling applied as Hugging Face's
// modeling_rope_utils.py does. For kDynamic those of a sequence within original_length.
std::vector<float> inverse_frequencies(const RopeSpec& spec);

// Those of sequences beyond original_length, for kLong; else empty.
std::vector<float> long_frequencies(const RopeSpec& spec);

// How the angles depend on a sequence's length.
RopeLength rope_length(const RopeSpec& spec);

}  // namespace tensormill
