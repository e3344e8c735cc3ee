#pragma once

#include <memory>

#include "artifacts/adapter.h"
#include "models/registry.h"

namespace tensormill {

// The base's tensors with the adapter's changes in them, computed in f32 when they are read, some
// rows at a time: the same names and types, so that everything after sees a plain checkpoint. Works
// on the names of the checkpoint, before roles. An adapter that changes the embeddings or the head
// of a model that ties them parts them, as they were while it was trained: `model` is changed to
// say so, and to have the vocabulary of embeddings that the adapter brings. Errors:
// kArtifactInvalid naming the adapter's file and the module that the base lacks or that doesn't fit
// it; those of verify() for the base.
std::unique_ptr<TensorIndex> merge_adapter(FamilyModel& model, std::unique_ptr<TensorIndex> base,
                                           Adapter adapter);

}  // namespace tensormill
