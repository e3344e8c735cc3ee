#include <array>

#include "base/error.h"
#include "models/families/gguf_families.h"
#include "models/gguf_family.h"

namespace tensormill {
namespace {

const std::array<GgufFamily, 3> kFamilies = {
    {gpt2_gguf_family(), gpt_neox_gguf_family(), llama_gguf_family()}};

constexpr std::string_view kLayer = "{L}";

// The number that stands for {L}, and true when `text` has the pattern's form.
bool matches(std::string_view pattern, std::string_view text, std::string_view* layer) {
  const size_t place = pattern.find(kLayer);
  if (place == std::string_view::npos) return pattern == text;
  if (!text.starts_with(pattern.substr(0, place))) return false;
  text.remove_prefix(place);
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  *layer = text.substr(0, digits);
  return digits > 0 && text.substr(digits) == pattern.substr(place + kLayer.size());
}

}  // namespace

const GgufFamily& find_gguf_family(const GgufFile& file) {
  const std::string key = "general.architecture";
  const std::optional<std::string> architecture = file.text(key);
  if (!architecture) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: key \"{}\" is missing", file.origin(), key);
  }
  std::string supported;
  for (const GgufFamily& family : kFamilies) {
    if (family.architecture == *architecture) return family;
    supported += supported.empty() ? "" : ", ";
    supported += family.architecture;
  }
  throw_error(ErrorKind::kUnsupported, "{}: architecture \"{}\" is not supported; expected {}",
              file.origin(), *architecture, supported);
}

GgufSource match_gguf_name(const std::vector<GgufName>& names, std::string_view tensor) {
  const size_t dot = tensor.rfind('.');
  const std::string_view ending = dot == std::string_view::npos ? "" : tensor.substr(dot);
  if (ending != ".weight" && ending != ".bias") return {};
  for (const GgufName& row : names) {
    std::string_view layer;
    if (!matches(row.gguf, tensor.substr(0, dot), &layer)) continue;
    GgufSource source;
    source.name = row.name;
    if (const size_t place = source.name.find(kLayer); place != std::string::npos) {
      source.name.replace(place, kLayer.size(), layer);
    }
    source.name += ending;
    source.transposed = row.transposed && ending == ".weight";
    return source;
  }
  return {};
}

int64_t gguf_vocabulary(const GgufFile& file) {
  constexpr std::string_view kEmbedding = "token_embd.weight";
  const auto found = file.tensors().find(kEmbedding);
  if (found == file.tensors().end() || found->second.shape.size() != 2) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: tensor \"{}\": expected a matrix", file.origin(),
                kEmbedding);
  }
  return found->second.shape[0];
}

}  // namespace tensormill
