#include "models/describe.h"

#include <optional>
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
  info.axes = spec.axes;
  info.rules = rules(spec);
  info.parameters = count_parameters(spec);
  info.eos_ids = config.ids("eos_token_id");
  const std::vector<int32_t> bos = config.ids("bos_token_id"), pad = config.ids("pad_token_id");
  if (!bos.empty()) info.bos_id = bos.front();
  if (!pad.empty()) info.pad_id = pad.front();
  return info;
}

WeightFormat read_usual_format(ConfigReader& config) {
  const char* key = config.has("dtype") ? "dtype" : "torch_dtype";
  const std::optional<WeightFormat> format = parse_weight_format(config.text(key, "bfloat16"));
  if (!format) config.unsupported(key, "float32, float16, bfloat16");
  return *format;
}

}  // namespace

Description describe_model(const std::filesystem::path& folder) {
  if (!std::filesystem::is_directory(folder)) {
    throw_error(ErrorKind::kNotFound, "{}: no such folder, expected one with config.json",
                folder.string());
  }
  Description description;
  description.file = (folder / "config.json").string();
  const Json json = read_json_file(description.file);
  ConfigReader config(json, description.file);
  const Family& family = find_family(config.text("model_type"), description.file);
  description.model = family.describe(config);
  read_common_keys(config);
  description.info = read_info(description.model.spec, config);
  description.usual_format = read_usual_format(config);
  config.finish();
  const std::filesystem::path generation = folder / "generation_config.json";
  if (std::filesystem::exists(generation)) {
    const Json generation_json = read_json_file(generation);
    ConfigReader reader(generation_json, generation.string());
    if (reader.has("eos_token_id")) description.info.eos_ids = reader.ids("eos_token_id");
  }
  return description;
}

}  // namespace tensormill
