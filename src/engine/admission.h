#pragma once

#include "engine/engine.h"

namespace tensormill {

// kConfigInvalid naming the option that is out of range. Cuts max_tokens to the model's positions
// where those are a hard limit.
EngineOptions checked(EngineOptions options, const ModelInfo& model);

// The request with max_new_tokens cut to what max_tokens leaves and the model's EOS ids filled in.
// kBadRequest naming the field: empty or too long prompt, ids out of range, parameters out of
// range, more than `blocks` of cache.
GenerationRequest checked(GenerationRequest request, const ModelInfo& model,
                          const EngineOptions& options, int32_t blocks);

}  // namespace tensormill
