#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/configuration.h"
#include "server/http_text.h"

namespace tensormill {

struct HttpRequest {
  std::string method;  // as sent, upper case by convention
  std::string target;  // path and query as sent
  std::string path;    // percent-decoded
  HeaderList query, headers;
  std::string body;
  int listener = 0;  // index into the addresses given to listen()
};

struct HttpHead {
  int status = 200;
  std::string reason;  // "": the standard one
  HeaderList headers;  // the usual ones are added
};

// One request's reply. All members on the I/O thread; exactly one of reply() or begin() ...
// finish() or abort() ends it. Calls after the end, or after the client left, do nothing.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;

  // Everything at once. Statuses of 400 and above close the connection after it.
  virtual void reply(HttpHead head, std::string body) = 0;

  // A body of unknown length: the head goes out with the first bytes, or at finish().
  virtual void begin(HttpHead head) = 0;
  // One chunk. false: the client reads too slowly and the connection was cut.
  virtual bool write(std::string_view bytes) = 0;
  virtual void finish() = 0;
  // Cuts the connection, so that the client sees that the body is incomplete.
  virtual void abort() = 0;

  // Called once if the client leaves before the reply has ended.
  virtual void on_gone(std::function<void()> gone) = 0;
};

struct HttpOptions {
  size_t max_request_size = 67108864;
  HeaderList cors;                      // access-control-allow-*, if configured
  size_t max_unread = size_t{4} << 20;  // bytes a stream's client may leave unread
  // Limits for clients that stall; the first counts from a request's first byte.
  std::chrono::seconds header_time{30}, body_idle{60}, body_time{900}, keep_alive{900},
      write_stall{120};
};

// The HTTP library lives behind this class: listeners, connections, timers and signals on one
// thread, the I/O thread.
class HttpServer {
 public:
  using Handler =
      std::function<void(std::shared_ptr<const HttpRequest>, std::shared_ptr<HttpExchange>)>;

  HttpServer(HttpOptions options, Handler handler);
  ~HttpServer();
  // Ends the I/O thread and cuts what is left; jobs posted from now on never run.
  void stop();

  // Binds and accepts; may be called from any thread, again for a second address. Returns the
  // port (0: unix). Errors: kConfigInvalid naming the address.
  uint16_t listen(const Address& address);

  // Runs `job` on the I/O thread, soon. From any thread.
  void post(std::function<void()> job);
  // Runs `job` on the I/O thread every 100 ms. Call before listen().
  void every_tick(std::function<void()> job);
  // Runs `job` on the I/O thread for each SIGTERM and SIGINT. Call once.
  void on_signal(std::function<void(int)> job);

  // Replies that haven't ended yet. From any thread.
  size_t open_exchanges() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// "http://127.0.0.1:8080" or "unix:/path", for log lines.
std::string describe_address(const Address& address, uint16_t port);

}  // namespace tensormill
