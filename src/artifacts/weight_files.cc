#include "artifacts/weight_files.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <string_view>

#include "base/error.h"
#include "base/log_once.h"

namespace tensormill {
namespace {

namespace fs = std::filesystem;

// The usual names of a form, before and after the variant's place: "model" + ".fp16" +
// ".safetensors", "model.safetensors.index" + ".fp16" + ".json".
struct FormNames {
  WeightFiles::Form form;
  std::string_view stem, ending, index;
};
constexpr std::array kForms = {
    FormNames{WeightFiles::Form::kSafetensors, "model", ".safetensors", "model.safetensors.index"},
    FormNames{WeightFiles::Form::kTorch, "pytorch_model", ".bin", "pytorch_model.bin.index"}};
constexpr std::string_view kIndexEnding = ".json";

// What trainers leave beside the weights.
constexpr std::string_view kNotWeights[] = {
    "adapter_", "optimizer", "scheduler", "rng_state", "training_args", "scaler", "trainer_state"};
// Weights of other programs, for messages.
constexpr std::string_view kForeign[] = {"tf_model.h5", "flax_model.msgpack", "model.onnx"};

std::vector<std::string> file_names(const fs::path& folder) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    std::string name = entry.path().filename().string();
    const bool other =
        std::any_of(std::begin(kNotWeights), std::end(kNotWeights),
                    [&](std::string_view prefix) { return name.starts_with(prefix); });
    if (!other) names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string with_variant(std::string_view stem, const std::string& variant,
                         std::string_view ending) {
  return fmt::format("{}{}{}{}", stem, variant.empty() ? "" : ".", variant, ending);
}

std::optional<WeightFiles> usual_files(const fs::path& folder, const std::string& variant) {
  for (const FormNames& names : kForms) {
    const fs::path one = folder / with_variant(names.stem, variant, names.ending);
    if (fs::exists(one)) return WeightFiles{names.form, one, false, variant};
    const fs::path index = folder / with_variant(names.index, variant, kIndexEnding);
    if (fs::exists(index)) return WeightFiles{names.form, index, true, variant};
  }
  return std::nullopt;
}

// "fp16" of "model.fp16.safetensors"; empty where the name is none of that kind.
std::string_view variant_in(std::string_view name, std::string_view stem, std::string_view ending) {
  if (name.size() <= stem.size() + 1 + ending.size() || !name.starts_with(stem) ||
      name[stem.size()] != '.' || !name.ends_with(ending)) {
    return {};
  }
  name.remove_prefix(stem.size() + 1);
  name.remove_suffix(ending.size());
  return name.find('.') == std::string_view::npos ? name : std::string_view();
}

std::set<std::string> variants_of(const std::vector<std::string>& files) {
  std::set<std::string> variants;
  for (const std::string& file : files) {
    for (const FormNames& names : kForms) {
      variants.emplace(variant_in(file, names.stem, names.ending));
      variants.emplace(variant_in(file, names.index, kIndexEnding));
    }
  }
  // Shards may say their number after the variant.
  std::erase_if(variants, [](const std::string& variant) {
    return variant.empty() || variant.find("-of-") != std::string::npos;
  });
  return variants;
}

std::vector<std::string> ending_in(const std::vector<std::string>& files, std::string_view prefix,
                                   std::initializer_list<std::string_view> endings) {
  std::vector<std::string> found;
  std::copy_if(files.begin(), files.end(), std::back_inserter(found), [&](const std::string& name) {
    return name.starts_with(prefix) &&
           std::any_of(endings.begin(), endings.end(),
                       [&](std::string_view ending) { return name.ends_with(ending); });
  });
  return found;
}

[[noreturn]] void too_many(const fs::path& folder, const std::vector<std::string>& files,
                           std::string_view index) {
  throw_error(ErrorKind::kArtifactInvalid,
              "{}: {} weight files (\"{}\", \"{}\", ...) and no {}: expected one file or an index",
              folder.string(), files.size(), files[0], files[1], index);
}

[[noreturn]] void nothing(const fs::path& folder, const std::vector<std::string>& files) {
  std::string found;
  for (const std::string_view name : kForeign) {
    if (std::find(files.begin(), files.end(), name) != files.end()) {
      found = fmt::format("; {} is of another program and can't be read", name);
    }
  }
  const auto gguf = ending_in(files, "", {".gguf"});
  if (!gguf.empty()) found = fmt::format("; for {} see `tensormill convert`", gguf[0]);
  throw_error(ErrorKind::kNotFound,
              "{}: no weights: expected model.safetensors, pytorch_model.bin or the index of their "
              "shards{}",
              folder.string(), found);
}

// A single file under a name of its own.
WeightFiles unusual_file(const fs::path& folder, const std::vector<std::string>& files) {
  using Form = WeightFiles::Form;
  const auto one = [&](const std::string& name, Form form) {
    return WeightFiles{form, folder / name, false, ""};
  };
  const auto safetensors = ending_in(files, "", {".safetensors"});
  if (safetensors.size() == 1) return one(safetensors[0], Form::kSafetensors);
  const auto bin = ending_in(files, "pytorch_model", {".bin"});
  if (bin.size() == 1) return one(bin[0], Form::kTorch);
  const auto torch = ending_in(files, "", {".bin", ".pt", ".pth"});
  if (torch.size() == 1) return one(torch[0], Form::kTorch);
  if (safetensors.size() > 1) too_many(folder, safetensors, "model.safetensors.index.json");
  if (torch.size() > 1) too_many(folder, torch, "pytorch_model.bin.index.json");
  nothing(folder, files);
}

}  // namespace

WeightFiles choose_weight_files(const fs::path& folder, const std::string& variant) {
  std::error_code code;
  if (!fs::is_directory(folder, code)) {
    throw_error(ErrorKind::kNotFound, "{}: expected a model folder", folder.string());
  }
  if (auto usual = usual_files(folder, variant)) return *usual;
  const std::vector<std::string> files = file_names(folder);
  const std::set<std::string> variants = variants_of(files);
  if (!variant.empty()) {
    throw_error(ErrorKind::kNotFound, "{}: no weights of the variant \"{}\": expected {} or {}; {}",
                folder.string(), variant, with_variant("model", variant, ".safetensors"),
                with_variant("pytorch_model", variant, ".bin"),
                variants.empty() ? "there is no variant"
                                 : fmt::format("there is {}", fmt::join(variants, ", ")));
  }
  if (variants.size() > 1) {
    throw_error(ErrorKind::kArtifactInvalid,
                "{}: weights only of the variants {}: expected option.variant (--variant) to name "
                "one of them",
                folder.string(), fmt::join(variants, ", "));
  }
  if (variants.size() == 1) {
    if (auto only = usual_files(folder, *variants.begin())) {
      info_once(fmt::format("{}: there are no plain weights; the variant \"{}\" is taken ({})",
                            folder.string(), only->variant, only->file.filename().string()));
      return *only;
    }
  }
  return unusual_file(folder, files);
}

}  // namespace tensormill
