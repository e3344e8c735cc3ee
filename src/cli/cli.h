#pragma once

namespace tensormill {

// Runs the subcommand that argv names and returns the exit code: 0 done, 1 failed (and bad options
// of `serve` and `partition`), 2 bad usage.
int run_cli(int argc, char** argv);

}  // namespace tensormill
