#include "server/http.h"

#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <list>
#include <thread>
#include <utility>

#include "base/error.h"
#include "server/http_connection.h"

namespace tensormill {
namespace {

namespace asio = boost::asio;
using asio::generic::stream_protocol;
using ErrorCode = boost::system::error_code;

constexpr std::chrono::milliseconds kTick{100};
constexpr int kBacklog = 4096;

struct Listener {
  Listener(asio::io_context& context, int number)
      : acceptor(context), retry(context), index(number) {}
  asio::basic_socket_acceptor<stream_protocol> acceptor;
  asio::steady_timer retry;
  int index;
  std::string unix_path;  // removed at the end
};

std::string remote_name(const stream_protocol::endpoint& endpoint) {
  if (endpoint.protocol().family() == AF_UNIX) return "/unix";
  asio::ip::tcp::endpoint tcp;
  if (endpoint.size() > tcp.capacity()) return "/unknown";
  std::memcpy(tcp.data(), endpoint.data(), endpoint.size());
  tcp.resize(endpoint.size());
  return fmt::format("/{}:{}", tcp.address().to_string(), tcp.port());
}

stream_protocol::endpoint resolve(asio::io_context& context, const Address& address) {
  if (address.kind == Address::Kind::kHttps) {
    throw_error(ErrorKind::kConfigInvalid,
                "address https://{}:{}: this build serves plain HTTP only; put a proxy that ends "
                "TLS in front of it",
                address.host, address.port);
  }
  if (address.kind == Address::Kind::kUnix) {
    if (address.host.size() >= 108) {
      throw_error(ErrorKind::kConfigInvalid,
                  "address unix:{}: the path has {} bytes, a socket's may have 107", address.host,
                  address.host.size());
    }
    return asio::local::stream_protocol::endpoint(address.host);
  }
  std::string host = address.host;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  ErrorCode error;
  const auto found = asio::ip::tcp::resolver(context).resolve(
      host, std::to_string(address.port),
      asio::ip::tcp::resolver::passive | asio::ip::tcp::resolver::numeric_service, error);
  if (error || found.empty()) {
    throw_error(ErrorKind::kConfigInvalid, "address {}: {}",
                describe_address(address, address.port), error ? error.message() : "no such host");
  }
  return found.begin()->endpoint();
}

// A socket file that nobody listens on any more.
void remove_stale_socket(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode)) return;
  asio::io_context context;
  asio::local::stream_protocol::socket probe(context);
  ErrorCode error;
  probe.connect(asio::local::stream_protocol::endpoint(path), error);
  if (error == asio::error::connection_refused) ::unlink(path.c_str());
}

}  // namespace

std::string describe_address(const Address& address, uint16_t port) {
  switch (address.kind) {
    case Address::Kind::kUnix:
      return "unix:" + address.host;
    case Address::Kind::kHttps:
      return fmt::format("https://{}:{}", address.host, port);
    case Address::Kind::kHttp:
      break;
  }
  return fmt::format("http://{}:{}", address.host, port);
}

struct HttpServer::Impl {
  Impl(HttpOptions options, Handler handler) {
    hub.options = std::move(options);
    hub.handler = std::move(handler);
    hub.scratch.resize(size_t{64} << 10);
    schedule_tick();
    thread = std::thread([this] { run(); });
  }

  ~Impl() { stop(); }

  void stop() {
    if (!thread.joinable()) return;
    context.stop();
    thread.join();
    // Connections and pending jobs may hold each other: end them before the hub goes.
    const auto left = hub.connections;
    for (const auto& connection : left) connection->close();
    for (const Listener& listener : listeners) {
      if (!listener.unix_path.empty()) ::unlink(listener.unix_path.c_str());
    }
  }

  void run() {
    for (;;) {
      try {
        context.run();
        return;
      } catch (const std::exception& error) {
        spdlog::error("I/O thread: {}", error.what());
      }
    }
  }

  void schedule_tick() {
    tick.expires_after(kTick);
    tick.async_wait([this](ErrorCode error) {
      if (error) return;
      schedule_tick();
      for (const auto& job : tick_jobs) job();
      check_half_closed();
      if (++ticks % 10 != 0) return;
      const auto now = Clock::now();
      const std::vector<std::shared_ptr<Connection>> all(hub.connections.begin(),
                                                         hub.connections.end());
      for (const auto& connection : all) connection->check_deadline(now);
    });
  }

  void check_half_closed() {
    const auto open = std::exchange(hub.half_closed, {});
    for (const auto& weak : open) {
      const auto connection = weak.lock();
      if (connection && connection->still_there()) hub.half_closed.push_back(weak);
    }
  }

  void accept(Listener& listener) {
    listener.acceptor.async_accept([this, &listener](ErrorCode error, StreamSocket socket) {
      if (error == asio::error::operation_aborted) return;
      if (error) {  // no descriptors left: try again when some may be free
        spdlog::warn("cannot accept a connection: {}", error.message());
        listener.retry.expires_after(kTick);
        listener.retry.async_wait([this, &listener](ErrorCode) { accept(listener); });
        return;
      }
      adopt(std::move(socket), listener.index);
      accept(listener);
    });
  }

  void adopt(StreamSocket socket, int listener) {
    ErrorCode error;
    const auto remote = socket.remote_endpoint(error);
    socket.non_blocking(true, error);
    if (error) return;
    if (remote.protocol().family() != AF_UNIX) {
      socket.set_option(asio::ip::tcp::no_delay(true), error);
    }
    const auto connection =
        std::make_shared<Connection>(hub, std::move(socket), listener, remote_name(remote));
    hub.connections.insert(connection);
    connection->start();
  }

  void wait_signal() {
    signals.async_wait([this](ErrorCode error, int number) {
      if (error) return;
      wait_signal();
      on_signal(number);
    });
  }

  ConnectionHub hub;
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  asio::steady_timer tick{context};
  asio::signal_set signals{context};
  std::function<void(int)> on_signal;
  std::vector<std::function<void()>> tick_jobs;
  uint64_t ticks = 0;
  std::list<Listener> listeners;
  std::thread thread;
};

HttpServer::HttpServer(HttpOptions options, Handler handler)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(handler))) {}

HttpServer::~HttpServer() = default;

void HttpServer::stop() {
  impl_->stop();
}

uint16_t HttpServer::listen(const Address& address) {
  const stream_protocol::endpoint endpoint = resolve(impl_->context, address);
  auto& listener =
      impl_->listeners.emplace_back(impl_->context, static_cast<int>(impl_->listeners.size()));
  const bool local = address.kind == Address::Kind::kUnix;
  if (local) remove_stale_socket(address.host);
  ErrorCode error;
  auto& acceptor = listener.acceptor;
  acceptor.open(endpoint.protocol(), error);
  if (!error && !local) acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(kBacklog, error);
  if (error) {
    impl_->listeners.pop_back();
    throw_error(ErrorKind::kConfigInvalid, "cannot listen on {}: {}",
                describe_address(address, address.port), error.message());
  }
  uint16_t port = 0;
  if (local) {
    listener.unix_path = address.host;
  } else {
    asio::ip::tcp::endpoint bound;
    const auto actual = acceptor.local_endpoint();
    std::memcpy(bound.data(), actual.data(), actual.size());
    port = bound.port();
  }
  asio::post(impl_->context, [this, &listener] { impl_->accept(listener); });
  return port;
}

void HttpServer::post(std::function<void()> job) {
  asio::post(impl_->context, std::move(job));
}

void HttpServer::every_tick(std::function<void()> job) {
  asio::post(impl_->context, [this, job = std::move(job)]() mutable {
    impl_->tick_jobs.push_back(std::move(job));
  });
}

void HttpServer::on_signal(std::function<void(int)> job) {
  impl_->on_signal = std::move(job);
  impl_->signals.add(SIGINT);
  impl_->signals.add(SIGTERM);
  asio::post(impl_->context, [this] { impl_->wait_signal(); });
}

size_t HttpServer::open_exchanges() const {
  return impl_->hub.open_exchanges;
}

}  // namespace tensormill
