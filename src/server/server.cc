#include "server/server.h"

#include <spdlog/async.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <cstdlib>
#include <future>

#include "artifacts/web_client.h"
#include "base/error.h"
#include "server/service.h"

namespace tensormill {
namespace {

constexpr size_t kLogQueue = 8192;
constexpr std::chrono::seconds kFailedPing{3};  // time for one probe to see the failure

// Every connection is a descriptor: take as many as the system lets us have.
void raise_descriptor_limit() {
  struct rlimit limit {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) spdlog::warn("cannot raise the descriptor limit");
}

// Log lines are written by a thread of their own, so that a slow terminal holds up no request; when
// it falls behind, the oldest lines are lost.
void make_logging_asynchronous() {
  const auto current = spdlog::default_logger();
  spdlog::init_thread_pool(kLogQueue, 1);
  auto logger = std::make_shared<spdlog::async_logger>(
      "server", current->sinks().begin(), current->sinks().end(), spdlog::thread_pool(),
      spdlog::async_overflow_policy::overrun_oldest);
  logger->set_level(current->level());
  logger->flush_on(spdlog::level::warn);
  spdlog::set_default_logger(std::move(logger));
}

void log_addresses(const ServerConfig& config, const std::vector<uint16_t>& ports) {
  spdlog::info("inference API listening on {}", describe_address(config.inference, ports[0]));
  spdlog::info("management API listening on {}", describe_address(config.management, ports.back()));
}

int serve(const ServerConfig& config) {
  Service service(config, load_engine_backend);
  std::promise<void> stop;
  std::atomic<bool> loading{true};
  bool stopping = false;  // the I/O thread's
  service.http().on_signal([&stop, &stopping, &loading](int) {
    // A load can't be interrupted, and there is nothing to drain yet.
    if (loading) std::_Exit(0);
    if (std::exchange(stopping, true)) std::_Exit(1);
    cancel_transfers();
    stop.set_value();
  });
  service.add_startup_models();
  const bool wait = config.settings.flag("wait_model_loading");
  if (!wait) log_addresses(config, service.listen());
  if (!service.load_startup_models()) {
    if (!wait) std::this_thread::sleep_for(kFailedPing);
    return 1;
  }
  if (wait) log_addresses(config, service.listen());
  loading = false;
  stop.get_future().wait();
  spdlog::info("shutting down: running requests may finish, a second signal exits at once");
  service.drain();
  return 0;
}

}  // namespace

int run_server(const ServerConfig& config) {
  raise_descriptor_limit();
  make_logging_asynchronous();
  int code = 1;
  try {
    code = serve(config);
  } catch (const std::exception& error) {
    spdlog::error("{}", error.what());
  }
  spdlog::shutdown();
  return code;
}

}  // namespace tensormill
