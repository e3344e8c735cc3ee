#include "cli/cli.h"

#include <fmt/core.h>

#include <algorithm>
#include <exception>
#include <string_view>
#include <utility>
#include <vector>

#include "artifacts/web_client.h"
#include "base/log.h"
#include "cli/command.h"

namespace tensormill {
namespace {

// `serve` and `partition` fail with 1 on bad options, as the program they replace does.
constexpr int kBadUsage = 2, kBadServeUsage = 1, kFailed = 1;
constexpr int kInterrupted = 130;  // as shells report an end by SIGINT

const std::vector<Command> kCommands = {
    // one row for each subcommand, in the order of the help
    {"serve", "serve models over HTTP", declare_serve},
    {"generate", "go on from a prompt, on the terminal", declare_generate},
    {"bench", "measure tokens a second", declare_bench},
    {"eval", "perplexity of a text", declare_eval},
    {"forward", "logits and hidden states of given token ids", declare_forward},
    {"tokenize", "turn text into token ids, or ids into text", declare_tokenize},
    {"inspect", "what a model is, the memory it needs and what can't be done with it",
     declare_inspect},
    {"convert", "GGUF, pytorch_model.bin or Megatron-LM to a Hugging Face folder with safetensors",
     declare_convert},
    {"doctor", "what this machine offers and what will be used", declare_doctor},
};

bool is_command(std::string_view name) {
  return std::any_of(kCommands.begin(), kCommands.end(),
                     [&](const Command& command) { return command.name == name; });
}

}  // namespace

int run_cli(int argc, char** argv) {
  CLI::App app("Serves Hugging Face transformer models over HTTP.", "tensormill");
  app.require_subcommand(1);
  app.set_version_flag("--version", TENSORMILL_VERSION);
  std::vector<std::pair<CLI::App*, CommandRunner>> runners;
  for (const Command& command : kCommands) {
    CLI::App* sub = app.add_subcommand(command.name, command.help);
    runners.emplace_back(sub, command.declare(*sub));
  }
  const bool serving = argc > 1 && std::string_view(argv[1]) == "serve";
  try {
    const std::string_view first = argc > 1 ? argv[1] : "-";
    if (!first.starts_with('-') && !is_command(first)) {
      throw CLI::ParseError(fmt::format("no subcommand {}; expected one of those of --help", first),
                            CLI::ExitCodes::InvalidError);
    }
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : serving ? kBadServeUsage : kBadUsage;
  }
  try {
    for (const auto& [sub, run] : runners) {
      if (sub->parsed()) return run();
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "tensormill: {}\n", error.what());
    return transfers_cancelled() ? kInterrupted : kFailed;
  }
  return kBadUsage;
}

}  // namespace tensormill
