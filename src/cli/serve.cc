#include <fmt/core.h>

#include <memory>

#include "artifacts/model_source.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/interrupt_guard.h"
#include "config/configuration.h"
#include "config/describe.h"
#include "server/server.h"

namespace tensormill {
namespace {

struct ServeOptions {
  CommonOptions common;
  ServeArguments arguments;
  std::vector<std::string> install;
  std::string host, port;
  bool print_config = false, print_settings = false, random_weights = false;
};

ServeArguments arguments_of(const ServeOptions& options) {
  ServeArguments arguments = options.arguments;
  if (!options.host.empty()) arguments.server_flags.emplace_back("--host", options.host);
  if (!options.port.empty()) arguments.server_flags.emplace_back("--port", options.port);
  const CommonOptions &common = options.common, defaults;
  auto& settings = arguments.options;
  settings = common.options;
  if (common.device != defaults.device) settings.emplace_back("--device", common.device);
  if (common.dtype != defaults.dtype) settings.emplace_back("--dtype", common.dtype);
  if (common.variant != defaults.variant) settings.emplace_back("--variant", common.variant);
  if (common.quantize != defaults.quantize) settings.emplace_back("--quantize", common.quantize);
  if (!common.kv_cache_dtype.empty()) {
    settings.emplace_back("--kv-cache-dtype", common.kv_cache_dtype);
  }
  if (common.cpu_level != defaults.cpu_level) {
    settings.emplace_back("--cpu-level", common.cpu_level);
  }
  if (!common.revision.empty()) settings.emplace_back("--revision", common.revision);
  if (common.threads != defaults.threads) {
    settings.emplace_back("--threads", std::to_string(common.threads));
  }
  if (options.random_weights) settings.emplace_back("--random-weights", "true");
  return arguments;
}

ServerConfig resolve(const ServeOptions& options) {
  const InterruptGuard guard;
  const auto fetch = [](const std::string& item) {
    ModelSource source;
    source.model = item;
    return locate_model(source);
  };
  return resolve_server(arguments_of(options), process_environment(), fetch);
}

int serve(const ServeOptions& options) {
  if (!options.install.empty()) {
    fmt::print("Nothing to install: there are no Java dependencies.\n");
    return 0;
  }
  if (options.print_settings) {
    fmt::print("{}", settings_markdown());
    return 0;
  }
  const ServerConfig config = resolve(options);
  if (options.print_config) {
    fmt::print("{}", print_config(config));
    return 0;
  }
  spdlog::info("settings that were given:\n{}", startup_summary(config));
  return run_server(config);
}

}  // namespace

CommandRunner declare_serve(CLI::App& app) {
  auto options = std::make_shared<ServeOptions>();
  // A bad option of `serve` shows its help, as the program it replaces does.
  if (CLI::App* program = app.get_parent()) {
    program->failure_message([&app](const CLI::App* root, const CLI::Error& error) {
      return app.parsed() ? fmt::format("{}\n{}", error.what(), app.help("tensormill"))
                          : CLI::FailureMessage::simple(root, error);
    });
  }
  options->common.declare(app);
  app.add_option("MODEL", options->arguments.positional,
                 "models to serve, each as MODEL or name=MODEL: a folder, an archive, org/name of "
                 "the hub, s3://bucket/prefix");
  app.add_option("-f,--config-file", options->arguments.config_file, "config.properties to read")
      ->type_name("FILE");
  app.add_option("-m,--models", options->arguments.models,
                 "models to load: [name[:version[:engine[:devices]]]=]url")
      ->type_name("ITEM ...");
  app.add_option("-s,--model-store", options->arguments.model_store, "folder that holds models")
      ->type_name("DIR");
  app.add_option("-i,--install", options->install, "accepted, does nothing")->type_name("DEP ...");
  app.add_option("--host", options->host, "address to listen on (default: 127.0.0.1)");
  app.add_option("--port", options->port, "port to listen on (default: 8080)");
  app.add_flag("--random-weights", options->random_weights,
               "make up weights: only config.json is needed");
  app.add_flag("--print-config", options->print_config,
               "print every effective setting and where it came from, then exit");
  app.add_flag("--print-settings", options->print_settings,
               "print the table of all settings as Markdown, then exit");
  return [options] { return serve(*options); };
}

}  // namespace tensormill
