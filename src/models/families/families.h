#pragma once

#include "models/registry.h"

namespace tensormill {

// One function for each file of this folder: spec and names from config.json. Errors:
// kArtifactInvalid (a key that is missing or absurd), kUnsupported (a value this build can't run).
FamilyModel describe_gpt2(ConfigReader& config);
FamilyModel describe_gpt_neox(ConfigReader& config);
FamilyModel describe_llama(ConfigReader& config);
FamilyModel describe_mixtral(ConfigReader& config);
FamilyModel describe_qwen2_moe(ConfigReader& config);
FamilyModel describe_qwen3_moe(ConfigReader& config);

}  // namespace tensormill
