#include "server/http_connection.h"

#include <poll.h>
#include <spdlog/spdlog.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <limits>
#include <string_view>
#include <utility>

#include "server/server_json.h"

namespace tensormill {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using ErrorCode = boost::beast::error_code;

constexpr size_t kMaxRequestLine = 4096, kMaxHeaders = 8192;
constexpr size_t kMaxPipelined = size_t{256} << 10;  // input kept while a reply is under way
constexpr size_t kMaxUnsent = size_t{256} << 10;     // before the next pipelined request runs
constexpr size_t kKeptCapacity = size_t{16} << 10;   // buffers above this are given back
constexpr std::chrono::seconds kLinger{3};

// "http://host/path" -> "/path", as clients of proxies send it.
std::string origin_form(std::string_view target) {
  if (target.substr(0, 7) == "http://") {
    target.remove_prefix(std::min(target.find('/', 7), target.size()));
    if (target.empty()) return "/";
  }
  return std::string(target);
}

void shrink(std::string& buffer) {
  if (buffer.capacity() > kKeptCapacity) std::string().swap(buffer);
  buffer.clear();
}

}  // namespace

// The reply of one request, bound to its connection.
class Exchange : public HttpExchange {
 public:
  Exchange(std::shared_ptr<Connection> connection, const HttpRequest& request, bool keep_alive,
           bool chunks)
      : connection_(std::move(connection)),
        line_(fmt::format("{} {} HTTP/1.{}", header_safe(request.method),
                          header_safe(request.target), chunks ? 1 : 0)),
        head_only_(request.method == "HEAD"),
        began_(Clock::now()),
        keep_alive_(keep_alive),
        chunks_(chunks) {
    ++connection_->hub_.open_exchanges;
  }

  void reply(HttpHead head, std::string body) override {
    if (!connection_) return;
    status_ = head.status;
    HeadOptions options;
    options.always = &connection_->hub_.options.cors;
    options.length = body.size();
    options.keep_alive = keep_alive_ && head.status < 400;
    connection_->out_ += render_head(head.status, head.reason, head.headers, options);
    if (!head_only_) connection_->out_ += body;
    end(options.keep_alive);
  }

  void begin(HttpHead head) override { head_ = std::move(head); }

  bool write(std::string_view bytes) override {
    if (!connection_) return false;
    if (bytes.empty()) return true;
    send_head();
    if (!head_only_) {
      if (chunks_) {
        connection_->out_ += render_chunk(bytes);
      } else {
        connection_->out_ += bytes;
      }
    }
    if (connection_->out_.size() + connection_->writing_.size() >
        connection_->hub_.options.max_unread) {
      spdlog::warn("{} reads its stream too slowly: connection cut", connection_->remote_);
      abort();
      return false;
    }
    connection_->flush();
    return true;
  }

  void finish() override {
    if (!connection_) return;
    send_head();
    if (chunks_ && !head_only_) connection_->out_ += "0\r\n\r\n";
    end(keep_alive_ && chunks_ && status_ < 400);
  }

  void abort() override {
    if (!connection_) return;
    const auto connection = connection_;
    release();
    connection->close();
  }

  void on_gone(std::function<void()> gone) override {
    if (connection_) gone_ = std::move(gone);
  }

  // Whether a "100 Continue" may go before the reply.
  bool interim_allowed() const { return chunks_ && !head_sent_; }

  // The client left. The callback may drop the last reference to this.
  void gone() {
    if (!connection_) return;
    const auto callback = std::move(gone_);
    status_ = 499;
    release();
    if (callback) callback();
  }

 private:
  void send_head() {
    if (head_sent_) return;
    head_sent_ = true;
    status_ = head_.status;
    HeadOptions options;
    options.always = &connection_->hub_.options.cors;
    options.framing = chunks_ ? BodyFraming::kChunked : BodyFraming::kUntilClose;
    options.keep_alive = keep_alive_ && chunks_ && status_ < 400;
    connection_->out_ += render_head(status_, head_.reason, head_.headers, options);
  }

  void end(bool keep_alive) {
    const auto connection = connection_;
    release();
    connection->end_reply(keep_alive);
  }

  void release() {
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began_);
    spdlog::info("{} \"{}\" {} {}", connection_->remote_, line_, status_, took.count());
    --connection_->hub_.open_exchanges;
    gone_ = nullptr;
    connection_.reset();
  }

  std::shared_ptr<Connection> connection_;  // null: ended
  std::string line_;                        // of the access log
  bool head_only_;
  Clock::time_point began_;
  HttpHead head_;
  std::function<void()> gone_;
  int status_ = 0;
  bool keep_alive_, chunks_, head_sent_ = false;
};

Connection::Connection(ConnectionHub& hub, StreamSocket socket, int listener, std::string remote)
    : hub_(hub), socket_(std::move(socket)), remote_(std::move(remote)), listener_(listener) {}

void Connection::start() {
  deadline_ = Clock::now() + hub_.options.keep_alive;
  wait_readable();
}

void Connection::close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  ErrorCode ignored;
  socket_.close(ignored);
  const auto self = shared_from_this();
  hub_.connections.erase(self);
  if (const auto exchange = std::exchange(current_, nullptr)) exchange->gone();
}

// The client sends no more. It may have gone, or only closed its side and wait for its replies.
void Connection::peer_left() {
  peer_left_ = true;
  if (state_ == State::kReplying) {
    hub_.half_closed.push_back(weak_from_this());
  } else if (state_ == State::kReading && write_pending_) {
    close_when_written();
  } else {
    close();
  }
}

// A client that has gone answers what it is sent with a reset. Before a reply's first byte that is
// an interim reply, which says nothing and which every client skips.
bool Connection::still_there() {
  if (state_ != State::kReplying) return false;
  pollfd descriptor{socket_.native_handle(), 0, 0};
  if (::poll(&descriptor, 1, 0) > 0) {
    close();
    return false;
  }
  if (!current_->interim_allowed() || std::exchange(probed_, true)) return true;
  out_ += "HTTP/1.1 100 Continue\r\n\r\n";
  flush();
  return true;
}

void Connection::close_when_written() {
  close_after_write_ = true;
  state_ = State::kLingering;
  deadline_ = Clock::time_point::max();  // until it is written: write_deadline_
  flush();
}

void Connection::check_deadline(Clock::time_point now) {
  if (now >= write_deadline_) return close();
  if (now < deadline_ || state_ == State::kReplying || state_ == State::kClosed) return;
  if (state_ == State::kReading && parser_) return refuse(408, "The request was not sent in time.");
  close();
}

void Connection::wait_readable() {
  if (wait_pending_ || peer_left_ || state_ == State::kClosed || in_.size() >= kMaxPipelined)
    return;
  wait_pending_ = true;
  socket_.async_wait(StreamSocket::wait_read, [self = shared_from_this()](ErrorCode error) {
    self->wait_pending_ = false;
    if (self->state_ == State::kClosed) return;
    if (error) return self->close();
    self->on_readable();
  });
}

void Connection::on_readable() {
  ErrorCode error;
  const size_t bytes = socket_.read_some(asio::buffer(hub_.scratch), error);
  if (error == asio::error::would_block || error == asio::error::try_again) return wait_readable();
  if (error == asio::error::eof) return peer_left();
  if (error) return close();
  if (state_ != State::kLingering) in_.append(hub_.scratch, 0, bytes);
  if (state_ == State::kReading) {
    if (parser_) {
      // The whole header has one deadline, a body one for each piece and one in total.
      const auto& options = hub_.options;
      if (parser_->is_header_done()) {
        deadline_ = std::min(Clock::now() + options.body_idle, message_began_ + options.body_time);
      }
    }
    process_input();
  }
  wait_readable();
}

void Connection::process_input() {
  if (processing_) return;
  processing_ = true;
  while (state_ == State::kReading && out_.size() < kMaxUnsent && feed_parser()) dispatch();
  processing_ = false;
  flush();
}

bool Connection::begin_message() {
  const size_t begin = in_.find_first_not_of("\r\n");
  in_.erase(0, std::min(begin, in_.size()));
  if (in_.empty()) return false;
  parser_ = std::make_unique<Parser>();
  parser_->body_limit(hub_.options.max_request_size);
  parser_->header_limit(static_cast<uint32_t>(kMaxRequestLine + kMaxHeaders));
  message_began_ = Clock::now();
  deadline_ = message_began_ + hub_.options.header_time;
  return true;
}

bool Connection::feed_parser() {
  if (!parser_ && !begin_message()) return false;
  if (!parser_->is_header_done() && std::min(in_.find('\n'), in_.size()) > kMaxRequestLine + 1) {
    refuse(400, "Invalid HTTP message.");
    return false;
  }
  size_t used = 0;
  while (!parser_->is_done() && used < in_.size()) {
    const bool had_header = parser_->is_header_done();
    ErrorCode error;
    const size_t took = parser_->put(asio::buffer(in_.data() + used, in_.size() - used), error);
    used += took;
    if (error == http::error::need_more) break;
    if (error) {
      parse_failed(error);
      return false;
    }
    if (!had_header && parser_->is_header_done() && !on_header()) return false;
    if (took == 0) break;
  }
  in_.erase(0, used);
  return parser_->is_done();
}

bool Connection::on_header() {
  const auto expect = parser_->get()[http::field::expect];
  if (expect.empty()) return true;
  if (!equals_ignoring_case({expect.data(), expect.size()}, "100-continue")) {
    refuse_bare(417);
    return false;
  }
  if (parser_->get().version() >= 11 && !parser_->is_done()) {
    out_ += "HTTP/1.1 100 Continue\r\n\r\n";
    flush();
  }
  return true;
}

void Connection::parse_failed(ErrorCode error) {
  if (error == http::error::body_limit || error == http::error::buffer_overflow) {
    return refuse_bare(413);
  }
  refuse(400, "Invalid HTTP message.");
}

void Connection::refuse(int status, std::string_view message) {
  HeadOptions options;
  options.always = &hub_.options.cors;
  options.keep_alive = false;
  const std::string body = error_envelope(status, "BadRequestException", message);
  options.length = body.size();
  out_ += render_head(status, status == 400 ? message : "", {{"content-type", "application/json"}},
                      options);
  out_ += body;
  spdlog::info("{} \"-\" {} 0", remote_, status);
  end_reply(false);
}

void Connection::refuse_bare(int status) {
  HeadOptions options;
  options.bare = true;
  options.keep_alive = status == 413 && !parser_->chunked();
  out_ += render_head(status, "", {}, options);
  spdlog::info("{} \"-\" {} 0", remote_, status);
  end_reply(false);
}

void Connection::dispatch() {
  const std::unique_ptr<Parser> parser = std::move(parser_);
  auto& message = parser->get();
  const bool keep_alive = message.keep_alive(), chunks = message.version() >= 11;
  auto request = std::make_shared<HttpRequest>();
  request->method = message.method_string();
  request->target = origin_form({message.target().data(), message.target().size()});
  const size_t question = std::min(request->target.find('?'), request->target.size());
  request->path = percent_decoded(std::string_view(request->target).substr(0, question), false);
  if (question < request->target.size()) {
    request->query = parse_form(std::string_view(request->target).substr(question + 1));
  }
  for (const auto& field : message) {
    request->headers.emplace_back(field.name_string(), field.value());
  }
  request->body = std::move(message.body());
  request->listener = listener_;
  state_ = State::kReplying;
  current_ = std::make_shared<Exchange>(shared_from_this(), *request, keep_alive, chunks);
  if (peer_left_) hub_.half_closed.push_back(weak_from_this());
  // A copy: the reply may end, and the next request begin, before the handler returns.
  const std::shared_ptr<Exchange> exchange = current_;
  hub_.handler(std::move(request), exchange);
}

void Connection::end_reply(bool keep_alive) {
  current_.reset();
  parser_.reset();
  if (state_ == State::kClosed) return;
  deadline_ = Clock::now() + hub_.options.keep_alive;
  if (!keep_alive) return close_when_written();
  state_ = State::kReading;
  probed_ = false;
  process_input();
  if (peer_left_ && state_ == State::kReading) return close_when_written();
  wait_readable();
}

void Connection::flush() {
  if (write_pending_ || state_ == State::kClosed) return;
  if (writing_.empty()) writing_.swap(out_);
  if (writing_.empty()) {
    if (close_after_write_) linger();
    return;
  }
  write_pending_ = true;
  write_deadline_ = Clock::now() + hub_.options.write_stall;
  socket_.async_write_some(asio::buffer(writing_.data() + written_, writing_.size() - written_),
                           [self = shared_from_this()](ErrorCode error, size_t bytes) {
                             self->on_written(error, bytes);
                           });
}

void Connection::on_written(ErrorCode error, size_t bytes) {
  write_pending_ = false;
  write_deadline_ = Clock::time_point::max();
  if (state_ == State::kClosed) return;
  if (error) return close();
  written_ += bytes;
  if (written_ == writing_.size()) {
    written_ = 0;
    shrink(writing_);
  }
  flush();
  if (state_ == State::kReading && !in_.empty()) {
    process_input();
    wait_readable();
  }
}

// Says that nothing more will come and waits for the client to close: a plain close() would reset
// the connection if unread input is left, and take the reply with it.
void Connection::linger() {
  close_after_write_ = false;
  if (peer_left_) return close();
  ErrorCode ignored;
  socket_.shutdown(StreamSocket::shutdown_send, ignored);
  shrink(in_);
  deadline_ = Clock::now() + kLinger;
  wait_readable();
}

}  // namespace tensormill
