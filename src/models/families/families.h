#pragma once

#include "models/registry.h"

namespace tensormill {

// One function for each file of this folder: spec and names from config.json. Errors:
// kArtifactInvalid (a key that is missing or absurd), kUnsupported (a value this build can't run).
FamilyModel describe_baichuan(ConfigReader& config);
FamilyModel describe_bloom(ConfigReader& config);
FamilyModel describe_falcon(ConfigReader& config);
FamilyModel describe_gpt2(ConfigReader& config);
FamilyModel describe_gpt_neox(ConfigReader& config);
FamilyModel describe_llama(ConfigReader& config);
FamilyModel describe_mpt(ConfigReader& config);

}  // namespace tensormill
