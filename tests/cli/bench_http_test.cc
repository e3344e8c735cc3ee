#include "cli/bench_http.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "cli/bench_figures.h"
#include "cli/http_stream.h"

namespace tensormill {
namespace {

using Lines = std::vector<std::string>;

// The lines of a reply that comes in pieces of `step` bytes.
Lines lines_of(HttpStream& stream, const std::string& bytes, size_t step) {
  Lines lines;
  const auto add = [&](std::string_view line) { lines.emplace_back(line); };
  for (size_t at = 0; at < bytes.size(); at += step) stream.feed(bytes.substr(at, step), add);
  return lines;
}

TEST(HttpStream, ChunksHoweverTheyArrive) {
  const std::string reply =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\n{\"a\":\r\n4;x=y\r\n 1}\n\r\nA\r\ndata: b\r\n\n\r\n3\r\nend\r\n0\r\n\r\n";
  for (size_t step = 1; step <= reply.size(); ++step) {
    HttpStream stream;
    EXPECT_EQ(lines_of(stream, reply, step), (Lines{"{\"a\": 1}", "data: b", "", "end"}));
    EXPECT_TRUE(stream.complete());
    EXPECT_TRUE(stream.keeps_open());
    EXPECT_EQ(stream.status(), 200);
  }
}

TEST(HttpStream, LengthsAndClosedConnections) {
  HttpStream fixed;
  EXPECT_EQ(
      lines_of(fixed, "HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 4\r\n\r\nfull", 3),
      (Lines{"full"}));
  EXPECT_TRUE(fixed.complete());
  EXPECT_FALSE(fixed.keeps_open());
  EXPECT_EQ(fixed.status(), 503);
  HttpStream open;
  EXPECT_EQ(lines_of(open, "HTTP/1.0 200 OK\r\n\r\none\ntwo", 100), (Lines{"one"}));
  EXPECT_FALSE(open.complete());
  open.closed([](std::string_view line) { EXPECT_EQ(line, "two"); });
  EXPECT_TRUE(open.complete());
  HttpStream cut;
  lines_of(cut, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfu", 100);
  EXPECT_THROW(cut.closed([](std::string_view) {}), Error);
  HttpStream other;
  EXPECT_THROW(lines_of(other, "SSH-2.0-OpenSSH_9.2p1\r\n\r\n", 100), Error);
}

TEST(BenchHttp, Urls) {
  const HttpPlace plain = parse_url("http://localhost");
  EXPECT_EQ(plain.path, "/invocations");
  EXPECT_EQ(plain.port, "80");
  const HttpPlace place = parse_url("http://host:8080/v1/chat/completions");
  EXPECT_EQ(place.host, "host");
  EXPECT_EQ(place.port, "8080");
  EXPECT_EQ(place.path, "/v1/chat/completions");
  for (const char* bad : {"", "host:80", "https://host", "http://", "http://:80", "http://a:"}) {
    EXPECT_THROW(parse_url(bad), Error) << bad;
  }
}

TEST(BenchHttp, TokensOfEachApi) {
  EXPECT_TRUE(carries_token(R"({"token": {"id": [3], "text": ""}})"));
  EXPECT_TRUE(carries_token(R"(data: {"choices": [{"delta": {"content": "a"}}]})"));
  EXPECT_TRUE(carries_token(R"(data:{"choices": [{"text": "a"}]})"));
  EXPECT_FALSE(
      carries_token(R"(data: {"choices": [{"delta": {"role": "assistant", "content": ""}}]})"));
  EXPECT_FALSE(carries_token(R"(data: {"choices": [], "usage": {}})"));
  EXPECT_FALSE(carries_token("data: [DONE]"));
  EXPECT_FALSE(carries_token(""));
  EXPECT_FALSE(carries_token("{"));
}

TEST(BenchFigures, SpreadIsTheMedianAndTheEnds) {
  OrderedJson row;
  add_spread(row, "rate", {3, 1, 2.5});
  EXPECT_EQ(row, (OrderedJson{{"rate", 2.5}, {"rate_min", 1.0}, {"rate_max", 3.0}}));
  EXPECT_EQ(spread_text(row, "rate", 1), "2.5 (1.0 - 3.0)");
  add_spread(row, "none", {});
  EXPECT_EQ(spread_text(row, "none", 1), "-");
}

}  // namespace
}  // namespace tensormill
