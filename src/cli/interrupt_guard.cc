#include "cli/interrupt_guard.h"

#include <csignal>

#include "artifacts/web_client.h"

namespace tensormill {
namespace {

void on_signal(int number) {
  std::signal(number, SIG_DFL);
  cancel_transfers();
}

}  // namespace

InterruptGuard::InterruptGuard()
    : interrupt_(std::signal(SIGINT, on_signal)), terminate_(std::signal(SIGTERM, on_signal)) {}

InterruptGuard::~InterruptGuard() {
  std::signal(SIGINT, interrupt_);
  std::signal(SIGTERM, terminate_);
}

}  // namespace tensormill
