#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "base/log_once.h"
#include "config/resolve_model.h"

namespace tensormill {
namespace {

constexpr std::array kReplaced = {"option.tensor_parallel_degree",
                                  "option.dtype",
                                  "option.max_tokens",
                                  "option.enable_cuda_graph",
                                  "option.return_tuple",
                                  "option.triangular_masking",
                                  "option.training_mp_size",
                                  "option.checkpoint",
                                  "option.save_mp_checkpoint_path",
                                  "option.quantize",
                                  "option.smoothquant_alpha"};

constexpr std::array<std::string_view, 29> kWithoutEffect = {"replace_with_kernel_inject",
                                                             "kernel_inject",
                                                             "use_triton",
                                                             "triton_autotune",
                                                             "zero",
                                                             "triangular_masking",
                                                             "tm",
                                                             "moe",
                                                             "base_dir",
                                                             "set_empty_params",
                                                             "checkpoint_config",
                                                             "ckpt_config",
                                                             "return_tuple",
                                                             "training_mp_size",
                                                             "replace_method",
                                                             "injection_policy",
                                                             "injection_dict",
                                                             "injection_policy_tuple",
                                                             "config",
                                                             "args",
                                                             "min_out_tokens",
                                                             "min_tokens",
                                                             "transposed_mode",
                                                             "mpu",
                                                             "ep_size",
                                                             "ep_group",
                                                             "ep_mp_group",
                                                             "moe_experts",
                                                             "moe_type"};

[[noreturn]] void wrong_type(const std::string& file, std::string_view key, const char* expected) {
  throw_error(ErrorKind::kConfigInvalid, "{}: {}: expected {}", file, key, expected);
}

std::string integer_text(const Json& value, const std::string& file, std::string_view key) {
  if (!value.is_number_integer()) wrong_type(file, key, "an integer");
  return std::to_string(value.get<int64_t>());
}

// "torch.float16", "half" and the like in the spelling of option.dtype.
std::string dtype_text(const Json& value, const std::string& file) {
  if (!value.is_string()) wrong_type(file, "dtype", "a text");
  std::string name = value.get<std::string>();
  if (name.starts_with("torch.")) name.erase(0, 6);
  if (name == "float32" || name == "float") return "fp32";
  if (name == "float16" || name == "half") return "fp16";
  if (name == "bfloat16") return "bf16";
  return name;
}

void put_ranks(Layers& layers, const Json& value, const std::string& file, std::string_view key) {
  if (!value.is_object()) wrong_type(file, key, "an object");
  if (value.contains("tp_size")) {
    layers.put("option.tensor_parallel_degree",
               integer_text(value.at("tp_size"), file, "tensor_parallel.tp_size"),
               file + " tensor_parallel.tp_size");
  }
}

void put_key(Layers& layers, const std::string& key, const Json& value, const std::string& file) {
  const auto put = [&](const char* setting, std::string text) {
    layers.put(setting, std::move(text), file + " " + key);
  };
  if (key == "dtype") {
    put("option.dtype", dtype_text(value, file));
  } else if (key == "tensor_parallel" || key == "tp") {
    put_ranks(layers, value, file, key);
  } else if (key == "mp_size") {
    put("option.tensor_parallel_degree", integer_text(value, file, key));
  } else if (key == "max_out_tokens" || key == "max_tokens") {
    put("option.max_tokens", integer_text(value, file, key));
  } else if (key == "enable_cuda_graph") {
    if (!value.is_boolean()) wrong_type(file, key, "true or false");
    put("option.enable_cuda_graph", value.get<bool>() ? "true" : "false");
  } else if (key == "checkpoint") {
    if (!value.is_null())
      put("option.checkpoint", value.is_string() ? value.get<std::string>() : value.dump());
  } else if (key == "save_mp_checkpoint_path") {
    if (!value.is_null()) put("option.save_mp_checkpoint_path", value.dump());
  } else if (key == "quant") {
    const bool enabled = value.is_object() && value.contains("enabled") &&
                         value.at("enabled").is_boolean() && value.at("enabled").get<bool>();
    if (enabled) put("option.quantize", "dynamic_int8");
  } else if (std::find(kWithoutEffect.begin(), kWithoutEffect.end(), key) != kWithoutEffect.end()) {
    info_once(fmt::format("{}: {} has no effect", file, key));
  } else {
    throw_error(ErrorKind::kConfigInvalid, "{}: unknown key {}", file, key);
  }
}

}  // namespace

void put_deepspeed_config(Layers& layers, const std::filesystem::path& file) {
  const Json root = read_json_file(file);
  if (!root.is_object()) wrong_type(file.string(), "the file", "a JSON object");
  for (const char* key : kReplaced) layers.erase(key);
  for (const auto& [key, value] : root.items()) {
    if (value.is_string() && value.get<std::string>() == "auto") continue;
    put_key(layers, key, value, file.string());
  }
}

}  // namespace tensormill
