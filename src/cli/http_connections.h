#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/bench_http.h"
#include "cli/http_stream.h"

namespace tensormill {

// Connections to one server, each with at most one request under way; one thread serves all.
class HttpConnections {
 public:
  HttpConnections(HttpPlace place, size_t count);
  ~HttpConnections();
  HttpConnections(const HttpConnections&) = delete;
  HttpConnections& operator=(const HttpConnections&) = delete;

  size_t size() const { return all_.size(); }
  // A POST of JSON; opens the connection where it isn't. Errors: kBadRequest.
  void send(size_t connection, std::string_view body);
  // Sleeps until something comes, then calls `line` for each line of a reply's body and `end` once
  // a reply is complete, from where the next request may be sent. Errors: kBadRequest; kInternal
  // when nothing comes for ten minutes.
  void wait(const std::function<void(size_t, std::string_view)>& line,
            const std::function<void(size_t, int status)>& end);

 private:
  struct Connection {
    int socket = -1;
    bool busy = false;
    bool used = false;      // the socket carried another request before
    bool answered = false;  // bytes of the reply came
    std::string request;
    HttpStream reply;
  };

  int open() const;
  void transmit(Connection& connection);
  void receive(size_t connection, const std::function<void(size_t, std::string_view)>& line);

  HttpPlace place_;
  std::vector<Connection> all_;
};

}  // namespace tensormill
