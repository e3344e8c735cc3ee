#pragma once

#include <memory>
#include <string>

#include "artifacts/model_folder.h"
#include "artifacts/tensor_index.h"
#include "models/describe.h"

namespace tensormill {

enum class Open : uint8_t { kWhole, kHeaders };  // see open_headers()

// The weights of a model that `description` describes, an adapter's changes in them; what those
// change in the description (see merge_adapter) is changed in it. Errors: those of
// choose_weight_files, open_checkpoint, open_adapter and merge_adapter.
std::unique_ptr<TensorIndex> open_weights(const ModelFolder& parts, const std::string& variant,
                                          Description& description, Open open = Open::kWhole);

}  // namespace tensormill
