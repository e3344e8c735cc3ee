#include "base/log_once.h"

#include <mutex>
#include <set>

#include "base/log.h"

namespace tensormill {
namespace {

constexpr size_t kRemembered = 4096;  // names in messages may come from load requests

bool is_new(const std::string& message) {
  static std::mutex mutex;
  static std::set<std::string> seen;
  const std::lock_guard lock(mutex);
  if (seen.size() >= kRemembered) seen.clear();
  return seen.insert(message).second;
}

}  // namespace

void warn_once(const std::string& message) {
  if (is_new(message)) spdlog::warn("{}", message);
}

void info_once(const std::string& message) {
  if (is_new(message)) spdlog::info("{}", message);
}

}  // namespace tensormill
