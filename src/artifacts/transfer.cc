#include "artifacts/transfer.h"

#include <curl/curl.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <thread>

#include "base/error.h"

namespace tensormill {
namespace {

int64_t number_of(const EnvironmentLookup& environment, const char* name, int64_t otherwise,
                  int64_t most) {
  const std::string text = environment(name);
  if (text.empty()) return otherwise;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > most) {
    throw_error(ErrorKind::kConfigInvalid, "{}={}: expected a number from 1 to {}", name, text,
                most);
  }
  return value;
}

}  // namespace

TransferLimits transfer_limits(const EnvironmentLookup& environment) {
  TransferLimits limits;
  limits.connections = static_cast<int>(
      number_of(environment, "TENSORMILL_DOWNLOAD_CONNECTIONS", limits.connections, 64));
  limits.piece_bytes =
      number_of(environment, "TENSORMILL_DOWNLOAD_RANGE_MB", limits.piece_bytes >> 20, 1 << 20)
      << 20;
  return limits;
}

bool is_transient(int status) {
  return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
         status == 504;
}

double retry_after(const WebReply& reply, std::chrono::system_clock::time_point now) {
  const std::string& text = reply.header("retry-after");
  if (text.empty()) return -1;
  int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc() && end == text.data() + text.size()) {
    return static_cast<double>(std::max<int64_t>(0, seconds));
  }
  const time_t date = curl_getdate(text.c_str(), nullptr);
  if (date == -1) return -1;
  return std::max(0.0, std::difftime(date, std::chrono::system_clock::to_time_t(now)));
}

bool Retry::wait(const std::string& why, const WebReply* reply) {
  if (++failures_ >= limits_.tries) return false;
  double seconds = std::min(limits_.longest_wait,
                            limits_.first_wait * static_cast<double>(1 << (failures_ - 1)));
  const double asked = reply ? retry_after(*reply, std::chrono::system_clock::now()) : -1;
  if (asked >= 0) {
    asked_ += asked;
    if (asked_ > limits_.most_waiting) return false;
    seconds = asked;
  }
  spdlog::warn("{}; trying again in {:.1f} s", why, seconds);
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (Clock::now() < end) {
    if (stopped_()) throw_cancelled();
    std::this_thread::sleep_for(
        std::min<std::chrono::duration<double>>(end - Clock::now(), std::chrono::milliseconds(50)));
  }
  return true;
}

WebReply send_patiently(WebClient& client, const TransferLimits& limits,
                        const std::function<WebRequest()>& prepare) {
  Retry retry(limits, transfers_cancelled);
  while (true) {
    const WebRequest request = prepare();
    try {
      WebReply reply = client.send(request);
      if (!is_transient(reply.status)) return reply;
      const std::string why = fmt::format("{}: status {}", host_of(reply.url), reply.status);
      if (!retry.wait(why, &reply)) return reply;
    } catch (const TransportError& error) {
      if (!error.transient() || !retry.wait(error.what())) throw;
    }
  }
}

}  // namespace tensormill
