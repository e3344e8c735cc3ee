#pragma once

#include <cstdint>
#include <string_view>

#include "models/config_reader.h"
#include "nn/spec.h"

namespace tensormill {

// Rotary positions from rope_parameters, or rope_scaling and `theta_key`. `share`: the part of
// head_dim that turns, where rope_parameters has no partial_rotary_factor. max_positions stands for
// original_max_position_embeddings where that is absent. Where rope_parameters holds an object for
// each type of layers, that of `layer_type` counts. Errors: kUnsupported naming rope type and what
// is supported.
RopeSpec read_rope(ConfigReader& config, std::string_view theta_key, int32_t head_dim, float share,
                   int32_t max_positions, std::string_view layer_type = {});

// What yarn multiplies cosines and sines with: 1 + 0.1 * mscale * log(factor), at least 1.
float yarn_amplitude(double factor, double mscale);

}  // namespace tensormill
