#include "models/convert_megatron.h"

#include <system_error>

#include "base/error.h"
#include "base/log.h"
#include "cli/convert_files.h"

namespace tensormill {
namespace {

namespace fs = std::filesystem;

// Files that go along, and the names that they get.
struct Companion {
  const char *name, *target;
};
constexpr Companion kCompanions[] = {{"vocab.json", "vocab.json"},
                                     {"gpt2-vocab.json", "vocab.json"},
                                     {"merges.txt", "merges.txt"},
                                     {"gpt2-merges.txt", "merges.txt"},
                                     {"tokenizer.json", "tokenizer.json"},
                                     {"tokenizer_config.json", "tokenizer_config.json"},
                                     {"special_tokens_map.json", "special_tokens_map.json"},
                                     {"added_tokens.json", "added_tokens.json"},
                                     {"generation_config.json", "generation_config.json"}};
constexpr const char* kEndOfText = "<|endoftext|>";

std::optional<Json> config_beside(const std::vector<fs::path>& folders) {
  for (const fs::path& folder : folders) {
    const fs::path file = folder / "config.json";
    if (!fs::exists(file)) continue;
    Json config = read_json_file(file);
    if (!config.is_object()) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: expected a JSON object", file.string());
    }
    return config;
  }
  return std::nullopt;
}

void copy_companions(const std::vector<fs::path>& folders, const fs::path& out) {
  for (const fs::path& folder : folders) {
    for (const Companion& file : kCompanions) {
      const fs::path target = out / file.target;
      if (!fs::is_regular_file(folder / file.name) || fs::exists(target)) continue;
      fs::copy_file(folder / file.name, target);
    }
  }
}

// The token that ends a text, where the vocabulary that was copied has the usual one.
void set_end_of_text(const fs::path& out, OrderedJson& config) {
  if (config.contains("eos_token_id")) return;
  if (fs::exists(out / "vocab.json")) {
    const Json vocabulary = read_json_file(out / "vocab.json");
    if (vocabulary.is_object() && vocabulary.contains(kEndOfText)) {
      config["bos_token_id"] = config["eos_token_id"] = vocabulary[kEndOfText];
      return;
    }
  }
  spdlog::warn("no token is known to end a text: config.json gets no eos_token_id");
}

}  // namespace

void convert_megatron(const fs::path& in, std::optional<DType> asked, int heads,
                      const fs::path& out) {
  const MegatronCheckpoint checkpoint = open_megatron_checkpoint(in);
  MegatronPlan plan = plan_megatron(checkpoint);
  const std::optional<Json> beside = config_beside(checkpoint.beside);
  MegatronHints hints;
  hints.heads = heads;
  if (beside) hints.config = &*beside;
  OrderedJson config = megatron_family().config(checkpoint, hints, plan.sizes);
  copy_companions(checkpoint.beside, out);
  set_end_of_text(out, config);
  const DType stored = plan.tensors[0].parts[0].tensor->view.type;
  if (!asked && stored == DType::kF64) asked = DType::kF32;
  config["torch_dtype"] = torch_name(asked.value_or(stored));
  write_json(out / "config.json", config, 2);
  spdlog::info("{} of {} tensor and {} pipeline rank(s): {} tensors as {}", in.string(),
               checkpoint.tensor_ranks, checkpoint.pipeline_ranks, plan.tensors.size(),
               asked ? torch_name(*asked) : "they are stored");
  write_megatron(plan, asked, out / "model.safetensors", weights_progress());
}

}  // namespace tensormill
