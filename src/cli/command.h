#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace tensormill {

// A subcommand declares its options on `app` and returns what runs it once they are parsed; the
// result is the exit code. Errors thrown from it are printed and exit 1.
using CommandRunner = std::function<int()>;
struct Command {
  const char* name;
  const char* help;
  CommandRunner (*declare)(CLI::App& app);
};

// Options that every subcommand takes.
struct CommonOptions {
  std::string device = "auto", dtype, variant, quantize, cpu_level = "auto", log_level = "info";
  std::string kv_cache_dtype;                                // empty: as -o says
  std::string revision;                                      // of a model of the hub
  int threads = 0;                                           // 0: usable_cores()
  std::vector<std::pair<std::string, std::string>> options;  // -o key=value

  void declare(CLI::App& app);
};

// One function for each file of cli/.
CommandRunner declare_bench(CLI::App& app);
CommandRunner declare_convert(CLI::App& app);
CommandRunner declare_doctor(CLI::App& app);
CommandRunner declare_eval(CLI::App& app);
CommandRunner declare_forward(CLI::App& app);
CommandRunner declare_generate(CLI::App& app);
CommandRunner declare_inspect(CLI::App& app);
CommandRunner declare_serve(CLI::App& app);
CommandRunner declare_tokenize(CLI::App& app);

}  // namespace tensormill
