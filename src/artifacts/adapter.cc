#include "artifacts/adapter.h"

#include <fmt/ranges.h>

#include <array>

#include "artifacts/float_types.h"
#include "artifacts/safetensors.h"
#include "artifacts/torch_checkpoint.h"
#include "base/error.h"
#include "base/log.h"

namespace tensormill {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = "adapter_config.json";
constexpr const char* kSafetensors = "adapter_model.safetensors";
constexpr const char* kTorch = "adapter_model.bin";
constexpr std::string_view kWrapper = "base_model.model.";

using Slot = const NamedTensor* AdapterModule::*;

// How a tensor's name ends after its module's, without an adapter's name in between.
struct Ending {
  std::string_view text;
  Slot slot;
  bool embedding = false;
};
// The longest first where one ends in another.
constexpr Ending kEndings[] = {
    {".lora_A.weight", &AdapterModule::a},
    {".lora_B.weight", &AdapterModule::b},
    {".lora_B.bias", &AdapterModule::b_bias},
    {".lora_embedding_A", &AdapterModule::a, true},
    {".lora_embedding_B", &AdapterModule::b, true},
    {".lora_magnitude_vector.weight", &AdapterModule::magnitude},
    {".lora_magnitude_vector", &AdapterModule::magnitude},
    {".token_adapter.trainable_tokens_delta", &AdapterModule::tokens},
    {".token_adapter.base_layer.weight", &AdapterModule::weight},
    {".base_layer.weight", &AdapterModule::weight},
    {".base_layer.bias", &AdapterModule::bias},
    {".modules_to_save.weight", &AdapterModule::weight},
    {".modules_to_save.bias", &AdapterModule::bias},
    {".original_module.weight", nullptr},  // what the trained copy replaces
    {".original_module.bias", nullptr},
    {".weight", &AdapterModule::weight},
    {".bias", &AdapterModule::bias},
};
// Parts after which trainers that save everything put the adapter's name.
constexpr std::array kNamedParts = {".lora_A.",
                                    ".lora_B.",
                                    ".lora_embedding_A.",
                                    ".lora_embedding_B.",
                                    ".lora_magnitude_vector.",
                                    ".modules_to_save.",
                                    ".trainable_tokens_delta."};
constexpr std::string_view kDefaultName = "default";

// "x.lora_A.default.weight" -> "x.lora_A.weight".
std::string without_adapter_name(std::string name) {
  for (const std::string_view part : kNamedParts) {
    const size_t at = name.find(std::string(part) + std::string(kDefaultName));
    if (at == std::string::npos) continue;
    const size_t end = at + part.size() + kDefaultName.size();
    if (end == name.size() || name[end] == '.')
      name.erase(end - kDefaultName.size() - 1, kDefaultName.size() + 1);
  }
  return name;
}

class Parser {
 public:
  Parser(AdapterConfig config, std::unique_ptr<TensorIndex> tensors) {
    adapter_.config = std::move(config);
    adapter_.tensors = std::move(tensors);
  }

  Adapter parse() {
    for (const NamedTensor& tensor : adapter_.tensors->tensors()) add(tensor);
    for (auto& [name, module] : adapter_.modules) check(name, module);
    leave_out_untargeted();
    if (adapter_.modules.empty()) {
      throw_error(ErrorKind::kArtifactInvalid,
                  "{}: none of its {} tensors belongs to a module that {} targets", origin(),
                  adapter_.tensors->tensors().size(), adapter_.config.file);
    }
    return std::move(adapter_);
  }

 private:
  std::string origin() const {
    const auto& all = adapter_.tensors->tensors();
    return all.empty() ? "the adapter" : all.front().file;
  }
  [[noreturn]] static void fail(const NamedTensor& tensor, std::string_view what) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: tensor \"{}\": {}", tensor.file, tensor.name,
                what);
  }
  static std::string shape_text(const NamedTensor& tensor) {
    return fmt::format("[{}]", fmt::join(tensor.view.shape, ", "));
  }

  void add(const NamedTensor& tensor) {
    std::string name = without_adapter_name(tensor.name);
    if (name.starts_with(kWrapper)) name.erase(0, kWrapper.size());
    for (const Ending& ending : kEndings) {
      if (!name.ends_with(ending.text) || name.size() == ending.text.size()) continue;
      if (ending.slot == nullptr) return;
      if (!is_float(tensor.view.type)) {
        fail(tensor,
             fmt::format("is {}, expected f32, f16, bf16 or f64", dtype_name(tensor.view.type)));
      }
      AdapterModule& module = adapter_.modules[name.substr(0, name.size() - ending.text.size())];
      if (module.*ending.slot != nullptr) {
        fail(tensor, fmt::format("is there twice, also as \"{}\"", (module.*ending.slot)->name));
      }
      module.*ending.slot = &tensor;
      module.embedding |= ending.embedding;
      return;
    }
    fail(tensor, "is not a tensor of a LoRA adapter");
  }

  void check(const std::string& name, const AdapterModule& module) const {
    if ((module.a == nullptr) != (module.b == nullptr)) {
      const NamedTensor& there = module.a != nullptr ? *module.a : *module.b;
      fail(there, fmt::format("its other half, lora_{}, is missing", module.a ? "B" : "A"));
    }
    for (const NamedTensor* alone : {module.b_bias, module.magnitude}) {
      if (alone != nullptr && module.a == nullptr) fail(*alone, "lora_A and lora_B are missing");
    }
    if (module.a == nullptr) return;
    const int64_t rank = adapter_.config.rank_of(name);
    if (module.a->view.shape.size() != 2 || module.a->view.shape[0] != rank) {
      fail(*module.a, fmt::format("shape {}, expected a matrix of {} rows, the rank that {} says",
                                  shape_text(*module.a), rank, adapter_.config.file));
    }
    if (module.b->view.shape.size() != 2 || module.b->view.shape[1] != rank) {
      fail(*module.b, fmt::format("shape {}, expected a matrix of {} columns, the rank that {} "
                                  "says",
                                  shape_text(*module.b), rank, adapter_.config.file));
    }
    if (module.magnitude == nullptr && adapter_.config.decomposed) {
      fail(*module.a, "\"use_dora\" is set, and lora_magnitude_vector is missing");
    }
    const int64_t outputs = module.b->view.shape[0];
    for (const NamedTensor* vector : {module.b_bias, module.magnitude}) {
      if (vector == nullptr) continue;
      const auto& shape = vector->view.shape;
      // Magnitudes of some versions are [outputs, 1] or [1, outputs].
      if (shape.empty() || shape.size() > 2 || vector->view.elements() != outputs) {
        fail(*vector, fmt::format("shape {}, expected [{}]", shape_text(*vector), outputs));
      }
    }
  }

  void leave_out_untargeted() {
    std::vector<std::string> left_out;
    for (auto& [name, module] : adapter_.modules) {
      if (module.a == nullptr || adapter_.config.targets_module(name)) continue;
      left_out.push_back(name);
      module.a = module.b = module.b_bias = module.magnitude = nullptr;
    }
    std::erase_if(adapter_.modules, [](const auto& item) {
      const AdapterModule& m = item.second;
      return !m.a && !m.tokens && !m.weight && !m.bias;
    });
    if (left_out.empty()) return;
    spdlog::warn("{}: {} modules (\"{}\" among them) are left out: {} does not target them",
                 origin(), left_out.size(), left_out.front(), adapter_.config.file);
  }

  Adapter adapter_;
};

}  // namespace

bool is_adapter_folder(const fs::path& folder) {
  if (!fs::exists(folder / kConfig)) return false;
  return fs::exists(folder / kSafetensors) || fs::exists(folder / kTorch) ||
         !fs::exists(folder / "config.json");
}

Adapter make_adapter(AdapterConfig config, std::unique_ptr<TensorIndex> tensors) {
  return Parser(std::move(config), std::move(tensors)).parse();
}

Adapter open_adapter(const fs::path& folder) {
  AdapterConfig config = read_adapter_config(folder / kConfig);
  TensorFile file;
  if (fs::exists(folder / kSafetensors)) {
    file = read_safetensors(folder / kSafetensors);
  } else if (fs::exists(folder / kTorch)) {
    file = read_torch_checkpoint(folder / kTorch);
  } else {
    throw_error(ErrorKind::kNotFound, "{}: {} without weights: expected {} or {}", folder.string(),
                kConfig, kSafetensors, kTorch);
  }
  Adapter adapter = make_adapter(std::move(config), make_tensor_index(std::move(file)));
  adapter.folder = folder;
  return adapter;
}

}  // namespace tensormill
