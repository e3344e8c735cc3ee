#pragma once

#include <memory>

#include "engine/runner.h"
#include "models/model.h"

namespace tensormill {

// Runs a loaded model, which must outlive it.
std::unique_ptr<Runner> make_model_runner(const Model& model);

}  // namespace tensormill
