#include "cli/cli.h"

int main(int argc, char** argv) {
  return tensormill::run_cli(argc, argv);
}
