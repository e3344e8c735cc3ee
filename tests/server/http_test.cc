#include "server/http.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "base/error.h"
#include "server/server_json.h"
#include "socket_client.h"

namespace tensormill {
namespace {

using testing::call;
using testing::ClientReply;
using testing::get_request;
using testing::post_request;
using testing::SocketClient;

// Echoes bodies on /echo, streams on /stream?n=, never answers on /hang, floods on /flood.
class HttpTest : public ::testing::Test {
 protected:
  void start(HttpOptions options = {}) {
    server_ = std::make_unique<HttpServer>(
        options, [this](auto request, auto exchange) { handle(*request, exchange); });
    port_ = server_->listen({Address::Kind::kHttp, "127.0.0.1", 0});
  }

  void handle(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange) {
    if (request.path == "/hang") {
      exchange->on_gone([this] { gone_ = true; });
      hung_ = exchange;
      hanging_ = true;
    } else if (request.path == "/stream") {
      stream(exchange, std::stoi(*find_value(request.query, "n")));
    } else if (request.path == "/flood") {
      exchange->begin({});
      while (exchange->write(std::string(65536, 'x'))) {
      }
      cut_ = true;
    } else if (request.path == "/error") {
      reply_error(*exchange, ApiError(400, "BadRequestException", "it's <bad>\r\nx: y"));
    } else {
      exchange->reply({200, "", {{"content-type", "text/plain"}}}, request.body);
    }
  }

  // One chunk a turn of the I/O thread, so that the client sees them one by one.
  void stream(const std::shared_ptr<HttpExchange>& exchange, int left) {
    if (left == 0) return exchange->finish();
    exchange->write("piece " + std::to_string(left) + "\n");
    server_->post([this, exchange, left] { stream(exchange, left - 1); });
  }

  bool wait_for(const std::atomic<bool>& flag) {
    for (int i = 0; i < 500 && !flag; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return flag;
  }

  std::shared_ptr<HttpExchange> hung_;  // the I/O thread's
  std::unique_ptr<HttpServer> server_;
  uint16_t port_ = 0;
  std::atomic<bool> gone_{false}, hanging_{false}, cut_{false};
};

TEST_F(HttpTest, RepliesWithTheUsualHeadersInOrder) {
  start();
  const ClientReply reply = call(port_, post_request("/echo", "hello"));
  const std::string id = reply.header("x-request-id");
  EXPECT_EQ(reply.head, "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nx-request-id: " + id +
                            "\r\nPragma: no-cache\r\n"
                            "Cache-Control: no-cache; no-store, must-revalidate, private\r\n"
                            "Expires: Thu, 01 Jan 1970 00:00:00 UTC\r\n"
                            "content-length: 5\r\nconnection: keep-alive");
  ASSERT_EQ(id.size(), 36u);
  EXPECT_EQ(id[14], '4');
  EXPECT_NE(std::string("89ab").find(id[19]), std::string::npos);
  EXPECT_EQ(reply.body, "hello");
}

TEST_F(HttpTest, CorsHeadersStandBetweenIdAndPragma) {
  HttpOptions options;
  options.cors = {{"access-control-allow-origin", "*"}};
  start(options);
  const std::string head = call(port_, get_request("/echo")).head;
  const size_t cors = head.find("access-control-allow-origin: *");
  EXPECT_LT(head.find("x-request-id"), cors);
  EXPECT_LT(cors, head.find("Pragma"));
}

TEST_F(HttpTest, KeepsAConnectionAndAnswersPipelinedRequestsInOrder) {
  start();
  SocketClient client(port_);
  client.send(get_request("/stream?n=3") + post_request("/echo", "two") + get_request("/ping") +
              post_request("/echo", "four"));
  const ClientReply first = client.read_reply();
  EXPECT_EQ(first.body, "piece 3\npiece 2\npiece 1\n");
  EXPECT_EQ(first.chunks.size(), 3u);
  EXPECT_EQ(first.header("transfer-encoding"), "chunked");
  EXPECT_EQ(first.header("content-length"), "");
  EXPECT_EQ(client.read_reply().body, "two");
  EXPECT_EQ(client.read_reply().body, "");
  EXPECT_EQ(client.read_reply().body, "four");
}

TEST_F(HttpTest, ManyPipelinedRequestsToASlowReader) {
  start();
  SocketClient client(port_);
  const std::string body(2000, 'b');
  std::thread sender([&] {
    for (int i = 0; i < 2000; ++i) client.send(post_request("/echo", body));
  });
  for (int i = 0; i < 2000; ++i) ASSERT_EQ(client.read_reply().body.size(), body.size()) << i;
  sender.join();
}

TEST_F(HttpTest, HonoursConnectionCloseAndHttp10) {
  start();
  SocketClient client(port_);
  client.send("GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(client.read_reply().header("connection"), "close");
  EXPECT_TRUE(client.closed_by_peer());
  SocketClient old(port_);
  old.send("GET /stream?n=2 HTTP/1.0\r\n\r\n");
  const ClientReply reply = old.read_reply();
  EXPECT_EQ(reply.header("transfer-encoding"), "");
  EXPECT_EQ(reply.header("connection"), "close");
  EXPECT_EQ(reply.body, "piece 2\npiece 1\n");
}

TEST_F(HttpTest, ChunkedBodiesAndExpect) {
  start();
  SocketClient client(port_);
  client.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  client.send("4;ext=1\r\ndefg\r\n0\r\nTrailer: x\r\n\r\n");
  EXPECT_EQ(client.read_reply().body, "abcdefg");
  client.send(
      "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client.read_reply().head, "HTTP/1.1 100 Continue");
  client.send("ok");
  EXPECT_EQ(client.read_reply().body, "ok");
  client.send("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: more\r\nContent-Length: 2\r\n\r\n");
  const ClientReply refused = client.read_reply();
  EXPECT_EQ(refused.status(), 417);
  EXPECT_EQ(refused.body, "");
}

TEST_F(HttpTest, HeadHasNoBody) {
  start();
  SocketClient client(port_);
  client.send("HEAD /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
  EXPECT_EQ(client.read_reply(true).header("content-length"), "3");
  client.send("HEAD /stream?n=2 HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.read_reply(true).status(), 200);
  client.send(post_request("/echo", "next"));
  EXPECT_EQ(client.read_reply().body, "next");
}

TEST_F(HttpTest, ErrorsCarryTheMessageInTheStatusLineAndClose) {
  start();
  SocketClient client(port_);
  client.send(get_request("/error"));
  const ClientReply reply = client.read_reply();
  EXPECT_EQ(reply.reason(), "it's <bad>  x: y");
  EXPECT_EQ(reply.header("connection"), "close");
  EXPECT_EQ(reply.body,
            "{\n  \"code\": 400,\n  \"type\": \"BadRequestException\",\n"
            "  \"message\": \"it\\u0027s \\u003cbad\\u003e\\r\\nx: y\"\n}\n");
  EXPECT_TRUE(client.closed_by_peer());
}

TEST_F(HttpTest, OversizedBodiesGetABare413) {
  HttpOptions options;
  options.max_request_size = 100;
  start(options);
  SocketClient client(port_);
  client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n");
  EXPECT_EQ(client.read_reply().head, "HTTP/1.1 413 Request Entity Too Large\r\ncontent-length: 0");
  SocketClient chunked(port_);
  chunked.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" +
               std::string(101, 'x') + "\r\n0\r\n\r\n");
  EXPECT_EQ(chunked.read_reply().head,
            "HTTP/1.1 413 Request Entity Too Large\r\ncontent-length: 0\r\nconnection: close");
  EXPECT_EQ(call(port_, post_request("/echo", std::string(100, 'x'))).status(), 200);
}

TEST_F(HttpTest, InvalidMessages) {
  start();
  const std::string bad[] = {
      "garbage\r\n\r\n",
      "GET / HTTP/2.0\r\n\r\n",
      "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
      "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
      "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
      "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
      "GET /" + std::string(4200, 'a') + " HTTP/1.1\r\n\r\n",
      "GET / HTTP/1.1\r\nA: " + std::string(20000, 'a') + "\r\n\r\n",
      "GET / HTTP/1.1\r\nno colon\r\n\r\n",
      std::string("GET / HTTP/1.1\r\nA: \0\r\n\r\n", 25),
  };
  for (const std::string& request : bad) {
    const ClientReply reply = call(port_, request);
    EXPECT_EQ(reply.status(), 400) << request.substr(0, 60);
    EXPECT_EQ(reply.reason(), "Invalid HTTP message.") << request.substr(0, 60);
    EXPECT_EQ(reply.header("connection"), "close");
  }
}

TEST_F(HttpTest, TellsWhenTheClientLeaves) {
  start();
  {
    SocketClient client(port_);
    client.send(get_request("/hang"));
    ASSERT_TRUE(wait_for(hanging_));
    EXPECT_EQ(server_->open_exchanges(), 1u);
    EXPECT_FALSE(gone_);
  }
  EXPECT_TRUE(wait_for(gone_));
  EXPECT_EQ(server_->open_exchanges(), 0u);
}

TEST_F(HttpTest, AHalfClosedClientIsAskedAndGetsItsReplies) {
  start();
  SocketClient client(port_);
  client.send(get_request("/hang") + post_request("/echo", "pipelined"));
  ::shutdown(client.fd(), SHUT_WR);
  ASSERT_TRUE(wait_for(hanging_));
  EXPECT_EQ(client.read_reply().status(), 100);  // whether it is still there
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_FALSE(gone_);
  server_->post([this] { hung_->reply({}, "late"); });
  EXPECT_EQ(client.read_reply().body, "late");
  EXPECT_EQ(client.read_reply().body, "pipelined");
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_FALSE(gone_);
}

TEST_F(HttpTest, CutsAStreamThatNobodyReads) {
  HttpOptions options;
  options.max_unread = 1 << 20;
  start(options);
  SocketClient client(port_);
  client.send(get_request("/flood"));
  EXPECT_TRUE(wait_for(cut_));
}

TEST_F(HttpTest, StalledRequestsAndIdleConnectionsEnd) {
  HttpOptions options;
  options.header_time = options.body_idle = options.keep_alive = std::chrono::seconds(1);
  start(options);
  SocketClient header(port_), body(port_), idle(port_);
  header.send("GET / HTTP/1.1\r\nHo");
  body.send("POST /echo HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_EQ(header.read_reply().status(), 408);
  EXPECT_EQ(body.read_reply().status(), 408);
  EXPECT_TRUE(idle.closed_by_peer());
}

TEST_F(HttpTest, UnixSockets) {
  start();
  const std::string path =
      (std::filesystem::temp_directory_path() / ("tm_http_" + std::to_string(::getpid()))).string();
  server_->listen({Address::Kind::kUnix, path, 0});
  SocketClient client(path);
  client.send(post_request("/echo", "by unix"));
  EXPECT_EQ(client.read_reply().body, "by unix");
  server_.reset();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(HttpTest, AddressesThatCannotBeBound) {
  start();
  EXPECT_THROW(server_->listen({Address::Kind::kHttp, "127.0.0.1", port_}), Error);
  EXPECT_THROW(server_->listen({Address::Kind::kHttps, "127.0.0.1", 0}), Error);
  EXPECT_THROW(server_->listen({Address::Kind::kHttp, "no.such.host.invalid", 0}), Error);
  EXPECT_THROW(server_->listen({Address::Kind::kUnix, "/no/such/folder/socket", 0}), Error);
}

}  // namespace
}  // namespace tensormill
