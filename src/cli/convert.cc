#include <algorithm>
#include <memory>
#include <optional>
#include <system_error>

#include "artifacts/gguf.h"
#include "artifacts/megatron_checkpoint.h"
#include "artifacts/tensor_index.h"
#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/model_id.h"
#include "cli/command.h"
#include "cli/convert_files.h"
#include "cli/load_model.h"
#include "models/convert_gguf.h"
#include "models/gguf_family.h"
#include "models/open_weights.h"
#include "tokenizer/gguf_vocabulary.h"

namespace tensormill {
namespace {

namespace fs = std::filesystem;

struct ConvertOptions {
  std::string in, out;
  int heads = 0;
  CommonOptions common;
};

// The output grows under another name and gets its own when it is complete.
class StagedFolder {
 public:
  explicit StagedFolder(const fs::path& out)
      : out_((out.has_filename() ? out : out.parent_path()).lexically_normal()),
        staged_(out_.string() + ".partial") {
    if (fs::exists(out_) && !(fs::is_directory(out_) && fs::is_empty(out_))) {
      throw_error(ErrorKind::kBadRequest, "{}: is there already; expected a new or empty folder",
                  out_.string());
    }
    std::error_code failure;
    fs::remove_all(staged_, failure);
    if (!failure) fs::create_directories(staged_, failure);
    if (failure) {
      throw_error(ErrorKind::kBadRequest, "{}: the folder could not be made: {}", out_.string(),
                  failure.message());
    }
  }
  ~StagedFolder() {
    std::error_code ignored;
    if (!done_) fs::remove_all(staged_, ignored);
  }
  StagedFolder(const StagedFolder&) = delete;
  StagedFolder& operator=(const StagedFolder&) = delete;

  const fs::path& path() const { return staged_; }
  void finish() {
    if (fs::exists(out_)) fs::remove(out_);
    fs::rename(staged_, out_);
    done_ = true;
  }

 private:
  fs::path out_, staged_;
  bool done_ = false;
};

GgufVocabulary read_vocabulary(const GgufFile& file) {
  GgufVocabulary v;
  v.origin = file.origin();
  v.model = file.text("tokenizer.ggml.model").value_or("");
  v.pre = file.text("tokenizer.ggml.pre").value_or("");
  if (const auto* tokens = file.texts("tokenizer.ggml.tokens")) v.tokens = *tokens;
  if (const auto* scores = file.numbers("tokenizer.ggml.scores")) v.scores = *scores;
  if (const auto* types = file.integers("tokenizer.ggml.token_type")) v.types = *types;
  if (const auto* merges = file.texts("tokenizer.ggml.merges")) v.merges = *merges;
  v.bos = file.integer("tokenizer.ggml.bos_token_id");
  v.eos = file.integer("tokenizer.ggml.eos_token_id");
  v.unknown = file.integer("tokenizer.ggml.unknown_token_id");
  v.padding = file.integer("tokenizer.ggml.padding_token_id");
  v.add_bos = file.boolean("tokenizer.ggml.add_bos_token");
  v.add_eos = file.boolean("tokenizer.ggml.add_eos_token");
  v.add_space_prefix = file.boolean("tokenizer.ggml.add_space_prefix");
  v.chat_template = file.text("tokenizer.chat_template");
  return v;
}

// What stops generation: the end of text, and the end of a turn where the file names another.
OrderedJson generation_config(const GgufFile& file, const GgufVocabulary& v) {
  OrderedJson json = OrderedJson::object();
  if (v.bos) json["bos_token_id"] = *v.bos;
  if (v.eos) {
    OrderedJson ends = OrderedJson::array({*v.eos});
    for (const char* key : {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
      const std::optional<int64_t> id = file.integer(key);
      if (id && std::find(ends.begin(), ends.end(), *id) == ends.end()) ends.push_back(*id);
    }
    json["eos_token_id"] = ends.size() == 1 ? ends[0] : ends;
  }
  if (v.padding) json["pad_token_id"] = *v.padding;
  return json;
}

void convert_gguf(const fs::path& in, std::optional<DType> asked, const fs::path& out) {
  const GgufFile file = GgufFile::open(in);
  const GgufVocabulary vocabulary = read_vocabulary(file);
  const DType type = gguf_target_type(file, asked);
  OrderedJson config = find_gguf_family(file).config(file);
  const OrderedJson generation = generation_config(file, vocabulary);
  config["torch_dtype"] = torch_name(type);
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"}) {
    if (generation.contains(key)) config[key] = generation[key];
  }
  write_json(out / "config.json", config, 2);
  write_json(out / "generation_config.json", generation, 2);
  OrderedJson tokenizer_config = gguf_tokenizer_config(vocabulary);
  tokenizer_config["model_max_length"] =
      config.value("max_position_embeddings", config.value("n_positions", int64_t{0}));
  write_json(out / "tokenizer_config.json", tokenizer_config, 2);
  write_json(out / "tokenizer.json", gguf_tokenizer(vocabulary), -1);
  spdlog::info("{} tensors as {}", file.tensors().size(), torch_name(type));
  write_gguf_weights(file, type, out / "model.safetensors", weights_progress());
}

// Everything of a model folder but its weights and their indexes.
bool is_companion(const fs::path& file) {
  const std::string name = file.filename().string(), ending = file.extension().string();
  if (name.ends_with(".index.json")) return false;
  constexpr std::string_view kEndings[] = {".json", ".txt", ".model", ".jinja", ".tiktoken"};
  return std::find(std::begin(kEndings), std::end(kEndings), ending) != std::end(kEndings);
}

void copy_companions(const fs::path& in, const fs::path& out) {
  for (const fs::directory_entry& entry : fs::directory_iterator(in)) {
    if (!entry.is_regular_file() || !is_companion(entry.path())) continue;
    fs::copy_file(entry.path(), out / entry.path().filename(),
                  fs::copy_options::overwrite_existing);
  }
}

// Keys of config.json that the new weights change; `from`: the file, for messages.
void change_config(const fs::path& from, const fs::path& out, const Json& changes) {
  const Json read = read_json_file(out);
  if (!read.is_object()) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: expected a JSON object", from.string());
  }
  OrderedJson config = OrderedJson::object();
  for (const auto& [key, value] : read.items()) config[key] = value;
  for (const auto& [key, value] : changes.items()) {
    const bool later = key == "torch_dtype" && config.contains("dtype");
    config[later ? "dtype" : key] = value;
  }
  write_json(out, config, 2);
}

// The base model with the adapter merged in, as a folder that needs neither.
std::unique_ptr<TensorIndex> open_merged(const fs::path& in, const ModelFolder& parts,
                                         const std::string& variant, const fs::path& out,
                                         Json& changes) {
  Description description = describe_model(in);
  const bool tied = description.model.spec.head.tied;
  const int32_t vocabulary = description.info.vocabulary;
  std::unique_ptr<TensorIndex> index = open_weights(parts, variant, description);
  if (tied && !description.model.spec.head.tied) changes["tie_word_embeddings"] = false;
  if (vocabulary != description.info.vocabulary)
    changes["vocab_size"] = description.info.vocabulary;
  copy_companions(parts.base, out);
  const fs::path config = in / "config.json";
  copy_companions(in, out);
  // The adapter's own, if any, may be of the model before it was changed.
  if (fs::exists(config)) {
    fs::copy_file(parts.base / "config.json", out / "config.json",
                  fs::copy_options::overwrite_existing);
  }
  fs::remove(out / "adapter_config.json");
  spdlog::info("{} is merged into {}", in.string(), parts.base.string());
  return index;
}

void convert_folder(const fs::path& in, const std::string& variant, std::optional<DType> asked,
                    const fs::path& out) {
  const ModelFolder parts = find_model_parts(in);
  Json changes = Json::object();
  if (asked) changes["torch_dtype"] = torch_name(*asked);
  std::unique_ptr<TensorIndex> index;
  if (parts.adapter) {
    index = open_merged(in, parts, variant, out, changes);
  } else {
    index = open_checkpoint(in, variant);
    copy_companions(in, out);
  }
  if (!changes.empty() && fs::exists(out / "config.json")) {
    change_config(parts.base / "config.json", out / "config.json", changes);
  }
  spdlog::info("{} tensors as {}", index->tensors().size(),
               asked ? torch_name(*asked) : "they are stored");
  write_checkpoint(*index, asked ? &*asked : nullptr, out / "model.safetensors",
                   weights_progress());
}

// The folder's GGUF file, when that is the only kind of weights in it.
std::optional<fs::path> only_gguf(const fs::path& folder) {
  std::optional<fs::path> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string ending = entry.path().extension().string();
    if (ending == ".safetensors" || ending == ".bin") return std::nullopt;
    if (ending != ".gguf") continue;
    if (found) return std::nullopt;
    found = entry.path();
  }
  return found;
}

int run_convert(const ConvertOptions& options) {
  const std::optional<DType> type = parse_target_type(options.common.dtype);
  fs::path in = options.in;
  // A zip archive that is there may be a checkpoint of Megatron-LM.
  if (!fs::exists(in) || (has_archive_suffix(options.in) && !is_megatron_checkpoint(in))) {
    in = find_model_folder(options.in, options.common);
  }
  if (fs::is_directory(in)) in = only_gguf(in).value_or(in);
  const bool megatron = is_megatron_checkpoint(in);
  if (options.heads > 0 && !megatron) {
    throw_error(ErrorKind::kBadRequest, "--heads: {} is no checkpoint of Megatron-LM", in.string());
  }
  StagedFolder out(options.out);
  if (megatron) {
    convert_megatron(in, type, options.heads, out.path());
  } else if (fs::is_directory(in)) {
    convert_folder(in, options.common.variant, type, out.path());
  } else {
    convert_gguf(in, type, out.path());
  }
  out.finish();
  spdlog::info("{} is ready", options.out);
  return 0;
}

}  // namespace

CommandRunner declare_convert(CLI::App& app) {
  auto options = std::make_shared<ConvertOptions>();
  app.add_option("IN", options->in,
                 "a .gguf file, a LoRA adapter's folder, a folder, archive, org/name of the hub or "
                 "s3://bucket/prefix with pytorch_model.bin, or a Megatron-LM checkpoint: "
                 "model_optim_rng.pt, its folder or a zip archive of it")
      ->required();
  app.add_option("OUT", options->out, "the new folder")->required();
  app.add_option("--heads", options->heads,
                 "attention heads of a Megatron-LM checkpoint that doesn't say them")
      ->check(CLI::Range(1, 65536));
  options->common.declare(app);
  return [options] { return run_convert(*options); };
}

}  // namespace tensormill
