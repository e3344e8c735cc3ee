#pragma once

#include <filesystem>
#include <string>

#include "artifacts/environment.h"
#include "artifacts/hub_files.h"

namespace tensormill {

// A model as a user names it.
struct ModelSource {
  std::string model;     // a folder, an archive, org/name of the hub, s3://..., https://...tar.gz
  std::string revision;  // of the hub's; "": main
  ModelParts parts = ModelParts::kAll;
  std::string variant;  // of the weights' files, as fp16 in model.fp16.safetensors
};

// Its folder on this machine; what isn't here is downloaded or unpacked first. A file that is no
// archive comes back as it is. Errors: kNotFound, saying what was looked for; those of
// fetch_hub_model, fetch_s3_model and unpack_model_archive.
std::filesystem::path locate_model(const ModelSource& source,
                                   const EnvironmentLookup& environment = process_variable);

}  // namespace tensormill
