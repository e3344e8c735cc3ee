#include "config/overrides.h"

#include <algorithm>
#include <iterator>

#include "config/text.h"

namespace tensormill {
namespace {

struct Flag {
  std::string_view flag, key;
};
constexpr Flag kFlags[] = {{"--cpu-level", "option.cpu_level"},
                           {"--device", "option.device"},
                           {"--dtype", "option.dtype"},
                           {"--variant", "option.variant"},
                           {"--kv-cache-dtype", "option.kv_cache_dtype"},
                           {"--quantize", "option.quantize"},
                           {"--random-weights", "option.random_weights"},
                           {"--revision", "option.revision"},
                           {"--threads", "option.threads"}};

struct Spelling {
  std::string_view typed, kept;
};
constexpr Spelling kDtypes[] = {{"f32", "fp32"},
                                {"float32", "fp32"},
                                {"f16", "fp16"},
                                {"float16", "fp16"},
                                {"bfloat16", "bf16"}};

std::string dtype_of_flag(const std::string& typed) {
  for (const Spelling& spelling : kDtypes) {
    if (spelling.typed == typed) return std::string(spelling.kept);
  }
  return typed;
}

bool is_server_only(const std::string& key) {
  return find_setting(SettingScope::kServer, key) && !find_setting(SettingScope::kModel, key) &&
         !find_setting(SettingScope::kModel, "option." + key);
}

}  // namespace

void put_overrides(Layers& layers,
                   const std::vector<std::pair<std::string, std::string>>& options) {
  std::vector<std::pair<std::string, Settings::Value>> values;
  for (const auto& [key, text] : options) {
    const auto* flag = std::find_if(std::begin(kFlags), std::end(kFlags),
                                    [&name = key](const Flag& row) { return row.flag == name; });
    if (flag != std::end(kFlags)) {
      layers.put(std::string(flag->key), key == "--dtype" ? dtype_of_flag(text) : text, key);
    } else if (!is_server_only(key)) {
      values.emplace_back(key, Settings::Value{text, "-o"});
    }
  }
  put_model_values(layers, values);
}

}  // namespace tensormill
