#include "base/error.h"
#include "base/log.h"
#include "base/thread_team.h"
#include "cli/command.h"

namespace tensormill {

void CommonOptions::declare(CLI::App& app) {
  app.add_option("--device", device, "auto, cpu or cuda[:i]")->capture_default_str();
  app.add_option("--dtype", dtype, "f32, f16, bf16 or their long names (default: as stored)");
  app.add_option("--variant", variant,
                 "weights of this variant: fp16 takes model.fp16.safetensors (default: the plain "
                 "ones)");
  app.add_option("--quantize", quantize, "dynamic_int8: products in 8 bits, on CPUs");
  app.add_option("--kv-cache-dtype", kv_cache_dtype,
                 "keys and values: auto, bf16, f16, f32 or int8 (default: the weights' type)");
  app.add_option("--threads", threads, "CPU threads; 0: the physical cores this process may use")
      ->check(CLI::Range(0, ThreadTeam::kMaxThreads))
      ->capture_default_str();
  app.add_option("--cpu-level", cpu_level, "instruction set of the CPU kernels, for tests")
      ->capture_default_str();
  app.add_option("--revision", revision,
                 "branch, tag or commit of a model of the hub (default: main)");
  app.add_option("--log-level", log_level, "debug, info, warn, error or off")
      ->capture_default_str();
  app.add_option_function<std::vector<std::string>>(
         "-o",
         [this](const std::vector<std::string>& items) {
           for (const std::string& item : items) {
             const size_t equals = item.find('=');
             if (equals == std::string::npos || equals == 0) {
               throw CLI::ValidationError("-o", "\"" + item + "\": expected key=value");
             }
             options.emplace_back(item.substr(0, equals), item.substr(equals + 1));
           }
         },
         "a model setting, for example -o option.max_tokens=2048 (may be given again)")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);  // what follows is a model, not another setting
  app.parse_complete_callback([this] { setup_logging(log_level.c_str()); });
}

}  // namespace tensormill
