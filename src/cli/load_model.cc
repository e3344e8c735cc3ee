#include "cli/load_model.h"

#include "base/error.h"
#include "base/log.h"
#include "kernels/cpu_stream.h"
#include "models/weight_format.h"

namespace tensormill {

const KernelTable& choose_kernels(const CommonOptions& options) {
  if (options.device != "auto" && options.device != "cpu") {
    throw_error(ErrorKind::kUnsupported, "--device {}: this build runs on cpu", options.device);
  }
  const KernelTable* kernels = cpu_kernels(options.cpu_level.c_str());
  if (kernels == nullptr) {
    throw_error(ErrorKind::kUnsupported,
                "--cpu-level {}: unknown, or this machine doesn't run it; `tensormill doctor` "
                "lists the levels",
                options.cpu_level);
  }
  return *kernels;
}

std::optional<WeightFormat> choose_format(const CommonOptions& options) {
  std::string name = options.dtype;
  for (const auto& [key, value] : options.options) {
    if (key != "option.dtype") {
      throw_error(ErrorKind::kBadRequest, "-o {}: only option.dtype matters to this command", key);
    }
    if (name.empty()) name = value;
  }
  if (name.empty() || name == "auto") return std::nullopt;
  const std::optional<WeightFormat> format = parse_weight_format(name);
  if (!format) {
    throw_error(ErrorKind::kBadRequest, "--dtype {}: expected f32, f16 or bf16", name);
  }
  return format;
}

LoadedModel load_model(const std::filesystem::path& folder, const CommonOptions& options,
                       bool random_weights) {
  LoadedModel loaded;
  LoadOptions load;
  load.kernels = &choose_kernels(options);
  load.format = choose_format(options);
  load.random_weights = random_weights;
  const int threads = options.threads > 0 ? options.threads : usable_cores();
  loaded.team = std::make_unique<ThreadTeam>(threads);
  load.stream = cpu_stream(loaded.team.get());
  loaded.model = Model::load(folder, load);
  spdlog::info("{}: {} on {} threads, {} kernels", folder.string(), loaded.model->info().model_type,
               threads, load.kernels->name);
  return loaded;
}

}  // namespace tensormill
