#include "models/registry.h"

#include <fmt/ranges.h>

#include <array>
#include <vector>

#include "base/error.h"
#include "models/families/families.h"

namespace tensormill {
namespace {

// In ascending order of model_type.
constexpr std::array kFamilies{
    Family{"RefinedWeb", describe_falcon},
    Family{"RefinedWebModel", describe_falcon},
    Family{"baichuan", describe_baichuan},
    Family{"bloom", describe_bloom},
    Family{"falcon", describe_falcon},
    Family{"gpt2", describe_gpt2},
    Family{"gpt_neox", describe_gpt_neox},
    Family{"llama", describe_llama},
    Family{"mpt", describe_mpt},
};

}  // namespace

const Family& find_family(std::string_view model_type, std::string_view file) {
  for (const Family& family : kFamilies) {
    if (family.model_type == model_type) return family;
  }
  throw_error(ErrorKind::kUnsupported, "{}: model_type \"{}\" is not supported; supported are {}",
              file, model_type, fmt::join(supported_model_types(), ", "));
}

std::vector<std::string> supported_model_types() {
  std::vector<std::string> names;
  for (const Family& family : kFamilies) names.emplace_back(family.model_type);
  return names;
}

}  // namespace tensormill
