#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace tensormill {

struct WebRequest {
  std::string method = "GET", url;
  std::vector<std::pair<std::string, std::string>> headers;
  // Sent to the url's own scheme, host and port alone, never where a redirect leads elsewhere.
  std::vector<std::pair<std::string, std::string>> secrets;
  std::string body;              // of POST and PUT
  int64_t begin = -1, end = -1;  // bytes [begin, end); end -1: to the end; begin -1: all
  long connect_seconds = 15, stall_seconds = 30;
  long total_seconds = 0;  // 0: no limit
  bool stay = false;       // a redirect to another host is the reply
  bool direct = false;     // past any proxy, as for addresses of this machine's own network
  std::string ca_file;     // or folder: certificates to trust instead of the system's
};

struct WebReply {
  int status = 0;
  std::string url;  // that answered, after redirects
  // Names in lower case. Of all replies on the way, the last value of a name.
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;  // where no sink took it; at most kMaxBody bytes

  const std::string& header(std::string_view name) const;  // "" where it didn't come
};

// No answer, or not all of it. `transient`: another try may do better.
class TransportError : public Error {
 public:
  TransportError(ErrorKind kind, const std::string& message, bool transient)
      : Error(kind, message), transient_(transient) {}
  bool transient() const { return transient_; }

 private:
  bool transient_;
};

// What stops everything that is under way, as Ctrl-C does. May be called from a signal handler.
void cancel_transfers();
bool transfers_cancelled();
void allow_transfers();  // again
[[noreturn]] void throw_cancelled();

// Scheme, host and port, for example "https://host:443"; "" for what is no http or https url.
std::string origin_of(const std::string& url);
std::string host_of(const std::string& url);
// Everything but letters, digits and "-._~" (and '/', where it is kept) as %41.
std::string percent_encode(std::string_view text, bool keep_slashes);

// Requests over kept connections, by libcurl: TLS, proxies from http_proxy, https_proxy and
// no_proxy. One thread at a time.
class WebClient {
 public:
  static constexpr size_t kMaxBody = size_t{64} << 20;

  // A sink takes the body of replies with status 200 and 206; the head is complete by then.
  using Sink = std::function<void(const WebReply& head, std::span<const std::byte> bytes)>;

  // `stopped`: asked often while something is under way; true ends it with throw_cancelled().
  explicit WebClient(std::function<bool()> stopped = transfers_cancelled);
  ~WebClient();
  WebClient(const WebClient&) = delete;
  WebClient& operator=(const WebClient&) = delete;

  // Follows up to 10 redirects, never from https to http. Any status is a reply. Errors:
  // TransportError; kBadRequest for a url that is none; whatever the sink throws.
  WebReply send(const WebRequest& request, const Sink& sink = {});

 private:
  struct State;
  WebReply send_once(const WebRequest& request, const std::string& url, bool own_host,
                     const Sink& sink);
  std::unique_ptr<State> state_;
  std::function<bool()> stopped_;
};

}  // namespace tensormill
