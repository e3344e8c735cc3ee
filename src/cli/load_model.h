#pragma once

#include <filesystem>
#include <initializer_list>
#include <memory>
#include <string_view>

#include "artifacts/hub_files.h"
#include "base/thread_team.h"
#include "cli/command.h"
#include "config/settings.h"
#include "models/model.h"
#include "tasks/place.h"

namespace tensormill {

// A model for one command, with the threads that run it.
struct LoadedModel {
  std::unique_ptr<ThreadTeam> team;
  Place place;
  std::unique_ptr<Model> model;
};

// What the command line says of the model: -o option.*, checked by the table of settings, and
// flags, which win.
struct ModelChoices {
  CommonOptions common;  // with -o's device, dtype, quantize, threads and cpu_level
  bool random_weights = false;
  Settings settings{SettingScope::kModel};

  std::optional<DType> cache_type() const;  // of keys and values; none: the weights'
};

// `also`: settings that this command reads besides those of every command. Errors: kBadRequest for
// -o of a setting that acts elsewhere only, kConfigInvalid for a bad value, kUnsupported for what
// this build refuses.
ModelChoices choose_model(const CommonOptions& options, bool random_weights,
                          std::initializer_list<std::string_view> also = {});

// What of a model such choices need.
ModelParts parts_of(const ModelChoices& choices);

// What --quantize says. Errors: kBadRequest.
Quantization choose_quantization(const CommonOptions& options);

// The weight format of --dtype; none: as stored. Errors: kBadRequest.
std::optional<WeightFormat> choose_format(const CommonOptions& options);

// The folder of what MODEL names: itself, or what is downloaded or unpacked for it; --revision and
// -o's option.revision and option.variant choose. Ctrl-C ends a download and keeps what is there.
// Errors: those of locate_model.
std::filesystem::path find_model_folder(const std::string& model, const CommonOptions& options,
                                        ModelParts parts = ModelParts::kAll);

LoadedModel load_model(const std::string& model, const CommonOptions& options, bool random_weights);

}  // namespace tensormill
