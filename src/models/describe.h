#pragma once

#include <filesystem>
#include <string>

#include "artifacts/model_folder.h"
#include "models/model.h"
#include "models/registry.h"

namespace tensormill {

// What config.json (and generation_config.json) say of a model; no weights are opened. Of `info`
// everything is set but the format and the sizes that follow from it.
struct Description {
  ModelFolder parts;
  std::string file;  // config.json, for messages
  FamilyModel model;
  ModelInfo info;
  WeightFormat usual_format = WeightFormat::kBF16;  // of config.json's dtype
};

// Errors: kNotFound, kUnsupported, kArtifactInvalid as Model::load.
Description describe_model(const std::filesystem::path& folder);

// Ids of the tokens that `blanks` names, from the folder's added_tokens.json or tokenizer.json.
// Errors: kArtifactInvalid naming the token that neither has.
void find_blank_tokens(const std::filesystem::path& folder, BlankSpec& blanks);

}  // namespace tensormill
