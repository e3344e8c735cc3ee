#pragma once

// Includes the HTTP library: for http.cc and http_connection.cc only.

#include <atomic>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "server/http.h"

namespace tensormill {

using Clock = std::chrono::steady_clock;
using StreamSocket = boost::asio::generic::stream_protocol::socket;

class Connection;

// What connections share. Touched on the I/O thread only, but for open_exchanges.
struct ConnectionHub {
  HttpOptions options;
  HttpServer::Handler handler;
  std::unordered_set<std::shared_ptr<Connection>> connections;
  std::vector<std::weak_ptr<Connection>> half_closed;  // a reply is under way
  std::string scratch;  // input lands here first: an idle connection holds no buffer
  std::atomic<size_t> open_exchanges{0};
};

// One client. Reads, parses and replies in turn; while a reply is under way it goes on watching
// for the client to leave, and keeps what is pipelined.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(ConnectionHub& hub, StreamSocket socket, int listener, std::string remote);

  void start();
  void check_deadline(Clock::time_point now);
  // For a client that closed its side: whether it is worth asking again.
  bool still_there();
  void close();

 private:
  friend class Exchange;
  enum class State : unsigned char { kReading, kReplying, kLingering, kClosed };
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;

  void wait_readable();
  void on_readable();
  void peer_left();
  void process_input();
  bool feed_parser();  // false: needs more input, or an error reply was sent
  bool begin_message();
  bool on_header();
  void parse_failed(boost::beast::error_code error);
  void dispatch();
  void refuse(int status, std::string_view message);  // 400 and 408 by the connection itself
  void refuse_bare(int status);
  void end_reply(bool keep_alive);
  void close_when_written();
  void flush();
  void on_written(boost::beast::error_code error, size_t bytes);
  void linger();

  ConnectionHub& hub_;
  StreamSocket socket_;
  std::string remote_;
  int listener_;
  State state_ = State::kReading;
  bool wait_pending_ = false, write_pending_ = false, close_after_write_ = false;
  bool processing_ = false, peer_left_ = false, probed_ = false;
  std::string in_, out_, writing_;
  size_t written_ = 0;
  std::unique_ptr<Parser> parser_;
  std::shared_ptr<class Exchange> current_;
  Clock::time_point deadline_, message_began_, write_deadline_ = Clock::time_point::max();
};

}  // namespace tensormill
