#pragma once

#include "models/registry.h"

namespace tensormill {

// One function for each file of this folder: spec and names from config.json. Errors:
// kArtifactInvalid (a key that is missing or absurd), kUnsupported (a value this build can't run).
FamilyModel describe_baichuan(ConfigReader& config);
FamilyModel describe_bloom(ConfigReader& config);
FamilyModel describe_chatglm(ConfigReader& config);
FamilyModel describe_codegen(ConfigReader& config);
FamilyModel describe_cohere(ConfigReader& config);
FamilyModel describe_cohere2(ConfigReader& config);
FamilyModel describe_deepseek_v2(ConfigReader& config);
FamilyModel describe_deepseek_v3(ConfigReader& config);
FamilyModel describe_falcon(ConfigReader& config);
FamilyModel describe_gemma(ConfigReader& config);
FamilyModel describe_gemma2(ConfigReader& config);
FamilyModel describe_gemma3(ConfigReader& config);
FamilyModel describe_gemma3_text(ConfigReader& config);
FamilyModel describe_glm(ConfigReader& config);
FamilyModel describe_glm4(ConfigReader& config);
FamilyModel describe_glm_blank(ConfigReader& config);  // a kind of glm
FamilyModel describe_gpt2(ConfigReader& config);
FamilyModel describe_gpt_bigcode(ConfigReader& config);
FamilyModel describe_gpt_neo(ConfigReader& config);
FamilyModel describe_gpt_neox(ConfigReader& config);
FamilyModel describe_gptj(ConfigReader& config);
FamilyModel describe_granite(ConfigReader& config);
FamilyModel describe_internlm(ConfigReader& config);
FamilyModel describe_internlm2(ConfigReader& config);
FamilyModel describe_llama(ConfigReader& config);
FamilyModel describe_mistral(ConfigReader& config);
FamilyModel describe_mixtral(ConfigReader& config);
FamilyModel describe_mpt(ConfigReader& config);
FamilyModel describe_olmo(ConfigReader& config);
FamilyModel describe_olmo2(ConfigReader& config);
FamilyModel describe_olmo3(ConfigReader& config);
FamilyModel describe_openai_gpt(ConfigReader& config);
FamilyModel describe_opt(ConfigReader& config);
FamilyModel describe_phi(ConfigReader& config);
FamilyModel describe_phi3(ConfigReader& config);
FamilyModel describe_qwen(ConfigReader& config);
FamilyModel describe_qwen2(ConfigReader& config);
FamilyModel describe_qwen2_moe(ConfigReader& config);
FamilyModel describe_qwen3(ConfigReader& config);
FamilyModel describe_qwen3_moe(ConfigReader& config);
FamilyModel describe_reformer(ConfigReader& config);
FamilyModel describe_smollm3(ConfigReader& config);
FamilyModel describe_stablelm(ConfigReader& config);
FamilyModel describe_starcoder2(ConfigReader& config);
FamilyModel describe_xglm(ConfigReader& config);

}  // namespace tensormill
