#pragma once

#include <filesystem>
#include <memory>

#include "base/thread_team.h"
#include "cli/command.h"
#include "models/model.h"

namespace tensormill {

// A model for one command, with the threads that run it.
struct LoadedModel {
  std::unique_ptr<ThreadTeam> team;
  std::unique_ptr<Model> model;
};

// Where the model runs: --device, --cpu-level, --threads. Errors: kUnsupported, kBadRequest.
const KernelTable& choose_kernels(const CommonOptions& options);

// The weight format of --dtype or -o option.dtype; none: as stored. Any other -o is an error here.
std::optional<WeightFormat> choose_format(const CommonOptions& options);

LoadedModel load_model(const std::filesystem::path& folder, const CommonOptions& options,
                       bool random_weights);

}  // namespace tensormill
