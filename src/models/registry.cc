#include "models/registry.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "base/error.h"
#include "models/families/families.h"
#include "models/families/wrapped.h"

namespace tensormill {
namespace {

// In ascending order of model_type.
constexpr std::array kFamilies{
    // clang-format off
    Family{"RefinedWeb", describe_falcon},
    Family{"RefinedWebModel", describe_falcon},
    Family{"baichuan", describe_baichuan},
    Family{"bloom", describe_bloom},
    Family{"chatglm", describe_chatglm},
    Family{"codegen", describe_codegen},
    Family{"cohere", describe_cohere},
    Family{"cohere2", describe_cohere2},
    Family{"deepseek_v2", describe_deepseek_v2},
    Family{"deepseek_v3", describe_deepseek_v3},
    Family{"falcon", describe_falcon},
    Family{"gemma", describe_gemma},
    Family{"gemma2", describe_gemma2},
    Family{"gemma3", describe_gemma3},
    Family{"gemma3_text", describe_gemma3_text},
    Family{"glm", describe_glm},
    Family{"glm4", describe_glm4},
    Family{"gpt2", describe_gpt2},
    Family{"gpt_bigcode", describe_gpt_bigcode},
    Family{"gpt_neo", describe_gpt_neo},
    Family{"gpt_neox", describe_gpt_neox},
    Family{"gptj", describe_gptj},
    Family{"granite", describe_granite},
    Family{"internlm", describe_internlm},
    Family{"internlm2", describe_internlm2},
    Family{"llama", describe_llama},
    Family{"mistral", describe_mistral},
    Family{"mixtral", describe_mixtral},
    Family{"mpt", describe_mpt},
    Family{"olmo", describe_olmo},
    Family{"olmo2", describe_olmo2},
    Family{"olmo3", describe_olmo3},
    Family{"openai-gpt", describe_openai_gpt},
    Family{"opt", describe_opt},
    Family{"phi", describe_phi},
    Family{"phi3", describe_phi3},
    Family{"qwen", describe_qwen},
    Family{"qwen2", describe_qwen2},
    Family{"qwen2_moe", describe_qwen2_moe},
    Family{"qwen3", describe_qwen3},
    Family{"qwen3_moe", describe_qwen3_moe},
    Family{"reformer", describe_reformer},
    Family{"smollm3", describe_smollm3},
    Family{"stablelm", describe_stablelm},
    Family{"starcoder2", describe_starcoder2},
    Family{"xglm", describe_xglm},
    // clang-format on
};

}  // namespace

const Family& find_family(std::string_view model_type, std::string_view file) {
  for (const Family& family : kFamilies) {
    if (family.model_type == model_type) return family;
  }
  static constexpr Family kWrapped{"", describe_wrapped};
  const std::vector<std::string> wrappers = wrapped_model_types();
  if (std::find(wrappers.begin(), wrappers.end(), model_type) != wrappers.end()) return kWrapped;
  throw_error(
      ErrorKind::kUnsupported,
      "{}: model_type \"{}\" is not supported; supported are {}, and the language models of "
      "{}",
      file, model_type, fmt::join(supported_model_types(), ", "), fmt::join(wrappers, ", "));
}

std::vector<std::string> supported_model_types() {
  std::vector<std::string> names;
  for (const Family& family : kFamilies) names.emplace_back(family.model_type);
  return names;
}

}  // namespace tensormill
