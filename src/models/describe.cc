#include "models/describe.h"

#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "models/common_config.h"
#include "models/weight_format.h"

namespace tensormill {
namespace {

ModelInfo read_info(const TransformerSpec& spec, ConfigReader& config) {
  const StackSpec& stack = spec.stacks.front();
  ModelInfo info;
  info.model_type = config.text("model_type");
  info.vocabulary = stack.embedding.vocabulary;
  info.width = stack.width;
  info.head_width = spec.head_width();
  info.layers = static_cast<int32_t>(stack.layers.size());
  info.max_positions = spec.max_positions;
  info.hard_position_limit = stack.embedding.position_rows > 0;
  info.dynamic_rope_from = dynamic_rope_from(spec);
  info.blanks = spec.blanks;
  info.rules = rules(spec);
  info.parameters = count_parameters(spec);
  const auto ids = [&](const char* key) {
    if (config.has(key) || !config.has("text_config")) return config.ids(key);
    return config.object("text_config").ids(key);
  };
  info.eos_ids = ids("eos_token_id");
  const std::vector<int32_t> bos = ids("bos_token_id"), pad = ids("pad_token_id");
  if (!bos.empty()) info.bos_id = bos.front();
  if (!pad.empty()) info.pad_id = pad.front();
  return info;
}

using TokenIds = std::map<std::string, int32_t>;

void add_token(TokenIds& ids, const Json& text, const Json& id) {
  if (text.is_string() && id.is_number_integer()) ids.emplace(text, id.get<int32_t>());
}

// Ids of added tokens by their text, from the tokenizer files that a folder may have.
TokenIds read_added_tokens(const std::filesystem::path& folder) {
  TokenIds ids;
  if (const auto file = folder / "added_tokens.json"; std::filesystem::exists(file)) {
    const Json json = read_json_file(file);
    for (const auto& item : json.items()) add_token(ids, item.key(), item.value());
  }
  if (const auto file = folder / "tokenizer.json"; std::filesystem::exists(file)) {
    const Json json = read_json_file(file);
    const auto tokens = json.find("added_tokens");
    if (tokens == json.end() || !tokens->is_array()) return ids;
    for (const Json& token : *tokens) {
      if (!token.contains("content") || !token.contains("id")) continue;
      add_token(ids, token.at("content"), token.at("id"));
    }
  }
  return ids;
}

// It says only how random weights are stored; of a checkpoint the tensors say it.
WeightFormat read_usual_format(ConfigReader& config) {
  const char* key = config.has("dtype") ? "dtype" : "torch_dtype";
  if (!config.has(key) && config.has("text_config")) {
    ConfigReader text = config.object("text_config");
    if (text.has("dtype") || text.has("torch_dtype")) return read_usual_format(text);
  }
  std::string name = config.text(key, "bfloat16");
  if (name.starts_with("torch.")) name.erase(0, 6);
  if (name == "auto") return WeightFormat::kBF16;
  if (name == "float64" || name == "double" || name == "float") return WeightFormat::kF32;
  const std::optional<WeightFormat> format = parse_weight_format(name);
  if (!format) config.unsupported(key, "float32, float16, bfloat16");
  return *format;
}

// The file's, or, as transformers reads files of before 2020 that don't say it, the longest one
// that stands in the model's name.
std::string read_model_type(ConfigReader& config, const std::filesystem::path& folder) {
  if (config.has("model_type")) return config.text("model_type");
  std::filesystem::path path = std::filesystem::absolute(folder).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  if (path.parent_path().filename() == "snapshots") path = path.parent_path().parent_path();
  const std::string name = path.filename().string();
  std::string found;
  for (const std::string& type : supported_model_types()) {
    if (type.size() > found.size() && name.find(type) != std::string::npos) found = type;
  }
  if (found.empty()) {
    throw_error(ErrorKind::kArtifactInvalid,
                "{}: model_type is missing, expected the family of the model, one of {}",
                config.file(), fmt::join(supported_model_types(), ", "));
  }
  spdlog::warn("{}: model_type is missing; \"{}\" is taken, which its name has", config.file(),
               found);
  config.usual("model_type", found);
  return found;
}

// Folders that hold a model in another layout.
void refuse_other_layout(const std::filesystem::path& folder) {
  if (std::filesystem::exists(folder / "params.json")) {
    throw_error(
        ErrorKind::kUnsupported,
        "{}: params.json is of the original layout of its weights; expected config.json and "
        "the weights that the Hugging Face conversion of the model has, or make them with "
        "transformers' convert_*_weights_to_hf.py",
        folder.string());
  }
  if (std::filesystem::exists(folder / "model_index.json")) {
    throw_error(ErrorKind::kUnsupported,
                "{}: model_index.json is of a pipeline of several models; expected config.json",
                folder.string());
  }
}

}  // namespace

Description describe_model(const std::filesystem::path& folder) {
  if (!std::filesystem::is_directory(folder)) {
    throw_error(ErrorKind::kNotFound, "{}: no such folder, expected one with config.json",
                folder.string());
  }
  Description description;
  description.parts = find_model_parts(folder);
  const std::filesystem::path& base = description.parts.base;
  description.file = (base / "config.json").string();
  if (!std::filesystem::exists(description.file)) refuse_other_layout(base);
  const Json json = read_json_file(description.file);
  ConfigReader config(json, description.file);
  const Family& family = find_family(read_model_type(config, base), description.file);
  description.model = family.describe(config);
  read_common_keys(config);
  description.info = read_info(description.model.spec, config);
  description.usual_format = read_usual_format(config);
  config.finish();
  std::filesystem::path generation = folder / "generation_config.json";
  if (!std::filesystem::exists(generation)) generation = base / "generation_config.json";
  if (std::filesystem::exists(generation)) {
    const Json generation_json = read_json_file(generation);
    ConfigReader reader(generation_json, generation.string());
    if (reader.has("eos_token_id")) description.info.eos_ids = reader.ids("eos_token_id");
  }
  return description;
}

void find_blank_tokens(const std::filesystem::path& folder, BlankSpec& blanks) {
  if (blanks.start_name.empty()) return;
  const TokenIds ids = read_added_tokens(folder);
  const auto id_of = [&](const std::string& name) {
    const auto found = ids.find(name);
    if (found != ids.end()) return found->second;
    throw_error(ErrorKind::kArtifactInvalid,
                "{}: neither added_tokens.json nor tokenizer.json has the token \"{}\", which this "
                "model's positions depend on",
                folder.string(), name);
  };
  blanks.start = id_of(blanks.start_name);
  for (const std::string& name : blanks.mask_names) blanks.masks.push_back(id_of(name));
}

}  // namespace tensormill
