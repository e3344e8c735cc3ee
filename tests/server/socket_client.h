#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tensormill::testing {

struct ClientReply {
  std::string head;  // status line and headers as received, without the blank line
  std::string body;  // without the chunks' sizes
  std::vector<std::string> chunks;
  bool complete = false;  // as the head promised
  int status() const;
  std::string reason() const;
  std::string header(std::string_view name) const;  // "" if absent
};

// A plain blocking HTTP client over a real socket: sees every byte.
class SocketClient {
 public:
  explicit SocketClient(uint16_t port);  // of 127.0.0.1
  explicit SocketClient(const std::string& unix_path);
  ~SocketClient();
  SocketClient(const SocketClient&) = delete;
  SocketClient& operator=(const SocketClient&) = delete;

  bool connected() const { return fd_ >= 0; }
  bool send(std::string_view bytes);
  // The next reply; `head_only`: to a HEAD request. 20 s at most.
  ClientReply read_reply(bool head_only = false);
  // What comes until the other side closes, or `limit` passes.
  std::string read_all(std::chrono::milliseconds limit = std::chrono::seconds(5));
  bool closed_by_peer(std::chrono::milliseconds limit = std::chrono::seconds(5));
  void close();
  int fd() const { return fd_; }

 private:
  bool fill(std::chrono::milliseconds limit);
  bool line(std::string& out);
  int fd_ = -1;
  std::string buffer_;
};

std::string post_request(std::string_view target, std::string_view body,
                         std::string_view headers = "Content-Type: application/json\r\n");
std::string get_request(std::string_view target, std::string_view method = "GET");
ClientReply call(uint16_t port, const std::string& request, bool head_only = false);

}  // namespace tensormill::testing
