// Not a test of its own: the client that the tests of this folder share.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "server/http_text.h"
#include "socket_client.h"

namespace tensormill::testing {

int ClientReply::status() const {
  return head.size() > 12 ? std::stoi(head.substr(9, 3)) : 0;
}

std::string ClientReply::reason() const {
  const size_t end = head.find("\r\n");
  return head.size() > 13 ? head.substr(13, end == std::string::npos ? end : end - 13) : "";
}

std::string ClientReply::header(std::string_view name) const {
  size_t at = head.find("\r\n");
  while (at != std::string::npos) {
    const size_t end = head.find("\r\n", at + 2);
    const std::string text = head.substr(at + 2, end == std::string::npos ? end : end - at - 2);
    const size_t colon = text.find(": ");
    if (colon != std::string::npos && equals_ignoring_case(text.substr(0, colon), name)) {
      return text.substr(colon + 2);
    }
    at = end;
  }
  return "";
}

SocketClient::SocketClient(uint16_t port) {
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) close();
}

SocketClient::SocketClient(const std::string& unix_path) {
  fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, unix_path.c_str(), sizeof(address.sun_path) - 1);
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) close();
}

SocketClient::~SocketClient() {
  close();
}

void SocketClient::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

bool SocketClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool SocketClient::fill(std::chrono::milliseconds limit) {
  pollfd wait{fd_, POLLIN, 0};
  if (fd_ < 0 || ::poll(&wait, 1, static_cast<int>(limit.count())) <= 0) return false;
  char bytes[16384];
  const ssize_t got = ::recv(fd_, bytes, sizeof(bytes), 0);
  if (got <= 0) return false;
  buffer_.append(bytes, static_cast<size_t>(got));
  return true;
}

bool SocketClient::line(std::string& out) {
  size_t end;
  while ((end = buffer_.find("\r\n")) == std::string::npos) {
    if (!fill(std::chrono::seconds(20))) return false;
  }
  out = buffer_.substr(0, end);
  buffer_.erase(0, end + 2);
  return true;
}

ClientReply SocketClient::read_reply(bool head_only) {
  ClientReply reply;
  for (std::string text; line(text) && !text.empty();) {
    reply.head += reply.head.empty() ? text : "\r\n" + text;
  }
  if (reply.head.empty()) return reply;
  if (head_only || reply.status() == 100) {
    reply.complete = true;
    return reply;
  }
  if (reply.header("transfer-encoding") != "chunked") {
    const std::string length = reply.header("content-length");
    if (length.empty()) {
      reply.body = read_all();
      reply.complete = true;
      return reply;
    }
    const size_t size = std::stoul(length);
    while (buffer_.size() < size && fill(std::chrono::seconds(20))) {
    }
    reply.body = buffer_.substr(0, size);
    buffer_.erase(0, size);
    reply.complete = reply.body.size() == size;
    return reply;
  }
  for (std::string text; line(text);) {
    const size_t size = std::stoul(text, nullptr, 16);
    while (buffer_.size() < size + 2 && fill(std::chrono::seconds(20))) {
    }
    if (buffer_.size() < size + 2) return reply;
    reply.complete = size == 0;
    if (size != 0) reply.chunks.push_back(buffer_.substr(0, size));
    reply.body += buffer_.substr(0, size);
    buffer_.erase(0, size + 2);
    if (reply.complete) return reply;
  }
  return reply;
}

std::string SocketClient::read_all(std::chrono::milliseconds limit) {
  while (fill(limit)) {
  }
  return std::exchange(buffer_, "");
}

bool SocketClient::closed_by_peer(std::chrono::milliseconds limit) {
  pollfd wait{fd_, POLLIN, 0};
  char byte = 0;
  return buffer_.empty() && ::poll(&wait, 1, static_cast<int>(limit.count())) > 0 &&
         ::recv(fd_, &byte, 1, MSG_PEEK) <= 0;
}

std::string post_request(std::string_view target, std::string_view body, std::string_view headers) {
  return fmt::format("POST {} HTTP/1.1\r\nHost: x\r\n{}Content-Length: {}\r\n\r\n{}", target,
                     headers, body.size(), body);
}

std::string get_request(std::string_view target, std::string_view method) {
  return fmt::format("{} {} HTTP/1.1\r\nHost: x\r\n\r\n", method, target);
}

ClientReply call(uint16_t port, const std::string& request, bool head_only) {
  SocketClient client(port);
  client.send(request);
  return client.read_reply(head_only);
}

}  // namespace tensormill::testing
