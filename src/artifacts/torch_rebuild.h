#pragma once

#include "artifacts/unpickler.h"

namespace tensormill {

// What calling the global `function` with the tuple `arguments` means to a checkpoint: a tensor, an
// ordered dictionary, a torch.Size; anything else is an inert record of the call. Runs nothing.
Pickle::Value torch_call(Pickle& pickle, const Pickle::Value& function,
                         const Pickle::Value& arguments);

// What a persistent id of torch.save means: a storage, or an inert record.
Pickle::Value torch_persistent(Pickle& pickle, const Pickle::Value& id);

// What an inert record is, where a tensor was expected: "depends on ...".
std::string not_a_tensor(const Pickle::Value& value);

}  // namespace tensormill
