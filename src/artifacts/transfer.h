#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "artifacts/environment.h"
#include "artifacts/web_client.h"

namespace tensormill {

// How hard a download tries.
struct TransferLimits {
  int connections = 8;
  int64_t piece_bytes = int64_t{64} << 20;     // files of more than two pieces come in ranges
  int tries = 6;                               // in a row without a byte of progress
  double first_wait = 0.5, longest_wait = 10;  // seconds between tries, doubled each time
  double most_waiting = 300;                   // seconds that a server may ask to wait, altogether
};

// Those above, but for TENSORMILL_DOWNLOAD_CONNECTIONS and TENSORMILL_DOWNLOAD_RANGE_MB. Errors:
// kConfigInvalid for what is no number of their range.
TransferLimits transfer_limits(const EnvironmentLookup& environment);

// A status after which the same request may do better: 408, 429 and those of a server in trouble.
bool is_transient(int status);

// Waits between the tries of one request, longer each time.
class Retry {
 public:
  Retry(const TransferLimits& limits, std::function<bool()> stopped)
      : limits_(limits), stopped_(std::move(stopped)) {}

  // False: it is no use to go on. Otherwise comes back when the next try is due: after what the
  // reply's Retry-After asks for, if a reply is given. `why` is logged. Errors: throw_cancelled().
  bool wait(const std::string& why, const WebReply* reply = nullptr);
  void progressed() { failures_ = 0; }
  int failures() const { return failures_; }

 private:
  TransferLimits limits_;
  std::function<bool()> stopped_;
  int failures_ = 0;
  double asked_ = 0;  // seconds waited because servers asked
};

// Sends until there is a reply that isn't transient, or no use in going on; then the last reply
// comes back. `prepare` makes the request anew for each try. Errors: TransportError of the last
// try.
WebReply send_patiently(WebClient& client, const TransferLimits& limits,
                        const std::function<WebRequest()>& prepare);

// Seconds that Retry-After asks for, in either of its forms; -1: it didn't come.
double retry_after(const WebReply& reply, std::chrono::system_clock::time_point now);

}  // namespace tensormill
