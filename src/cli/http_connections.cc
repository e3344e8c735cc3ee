#include "cli/http_connections.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "base/error.h"

namespace tensormill {

HttpConnections::HttpConnections(HttpPlace place, size_t count)
    : place_(std::move(place)), all_(count) {}

HttpConnections::~HttpConnections() {
  for (const Connection& connection : all_) {
    if (connection.socket >= 0) ::close(connection.socket);
  }
}

int HttpConnections::open() const {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(place_.host.c_str(), place_.port.c_str(), &hints, &found)) {
    throw_error(ErrorKind::kBadRequest, "{}:{}: {}", place_.host, place_.port, gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, freeaddrinfo);
  int error = 0;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    const int socket = ::socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
    if (socket < 0) continue;
    if (::connect(socket, at->ai_addr, at->ai_addrlen) == 0) {
      const int on = 1;
      setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      return socket;
    }
    error = errno;
    ::close(socket);
  }
  throw_error(ErrorKind::kBadRequest, "{}:{}: {}", place_.host, place_.port, std::strerror(error));
}

void HttpConnections::send(size_t number, std::string_view body) {
  Connection& connection = all_[number];
  connection.used = connection.socket >= 0;
  connection.busy = true;
  connection.request =
      "POST " + place_.path + " HTTP/1.1\r\nhost: " + place_.host + ":" + place_.port +
      "\r\ncontent-type: application/json\r\ncontent-length: " + std::to_string(body.size()) +
      "\r\n\r\n";
  connection.request += body;
  transmit(connection);
}

// A server may close a connection that it kept at any time: what was sent on one that was used
// before and got no byte back goes out again on a new one.
void HttpConnections::transmit(Connection& connection) {
  if (connection.socket < 0) connection.socket = open();
  connection.reply = HttpStream();
  connection.answered = false;
  const std::string& text = connection.request;
  for (size_t at = 0; at < text.size();) {
    const ssize_t count =
        ::send(connection.socket, text.data() + at, text.size() - at, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && connection.used) return;  // receiving finds it closed
    if (count < 0) {
      throw_error(ErrorKind::kBadRequest, "{}:{}: {}", place_.host, place_.port,
                  std::strerror(errno));
    }
    at += static_cast<size_t>(count);
  }
}

void HttpConnections::receive(size_t number,
                              const std::function<void(size_t, std::string_view)>& line) {
  Connection& connection = all_[number];
  const auto with_number = [&](std::string_view text) { line(number, text); };
  char buffer[65536];
  const ssize_t count = ::recv(connection.socket, buffer, sizeof buffer, 0);
  if (count < 0 && errno == EINTR) return;
  if (count <= 0 && connection.used && !connection.answered) {
    ::close(connection.socket);
    connection.socket = -1;
    connection.used = false;
    transmit(connection);
    return;
  }
  if (count < 0) {
    throw_error(ErrorKind::kBadRequest, "{}:{}: {}", place_.host, place_.port,
                std::strerror(errno));
  }
  connection.answered = true;
  if (count == 0) {
    connection.reply.closed(with_number);
  } else {
    connection.reply.feed({buffer, static_cast<size_t>(count)}, with_number);
  }
}

void HttpConnections::wait(const std::function<void(size_t, std::string_view)>& line,
                           const std::function<void(size_t, int status)>& end) {
  constexpr int kPatience = 600000;  // ms
  std::vector<pollfd> polls;
  std::vector<size_t> numbers;
  for (size_t i = 0; i < all_.size(); ++i) {
    if (!all_[i].busy) continue;
    polls.push_back({all_[i].socket, POLLIN, 0});
    numbers.push_back(i);
  }
  const int ready = ::poll(polls.data(), polls.size(), kPatience);
  if (ready == 0) throw_error(ErrorKind::kInternal, "the server sent nothing for ten minutes");
  for (size_t i = 0; i < polls.size(); ++i) {
    if (polls[i].revents == 0) continue;
    Connection& connection = all_[numbers[i]];
    receive(numbers[i], line);
    if (!connection.reply.complete()) continue;
    connection.busy = false;
    if (!connection.reply.keeps_open()) {
      ::close(connection.socket);
      connection.socket = -1;
    }
    end(numbers[i], connection.reply.status());
  }
}

}  // namespace tensormill
