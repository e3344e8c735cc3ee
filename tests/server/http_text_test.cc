#include "server/http_text.h"

#include <gtest/gtest.h>

namespace tensormill {
namespace {

TEST(HttpText, PercentDecoding) {
  EXPECT_EQ(percent_decoded("a%20b+c", true), "a b c");
  EXPECT_EQ(percent_decoded("a%20b+c", false), "a b+c");
  EXPECT_EQ(percent_decoded("%e2%82%AC", true), "€");
  EXPECT_EQ(percent_decoded("100%", true), "100%");
  EXPECT_EQ(percent_decoded("%4", true), "%4");
  EXPECT_EQ(percent_decoded("%zz", true), "%zz");
}

TEST(HttpText, FormsKeepOrderAndEmptyValues) {
  const HeaderList expected = {{"a", "1"}, {"b", ""}, {"a", "x=y"}, {"c d", "&"}};
  EXPECT_EQ(parse_form("a=1&b&&a=x=y&c+d=%26"), expected);
  EXPECT_TRUE(parse_form("").empty());
  EXPECT_EQ(*find_value(expected, "a"), "x=y");
  EXPECT_EQ(find_value(expected, "z"), nullptr);
}

TEST(HttpText, CustomAttributesDropPiecesWithoutValue) {
  const HeaderList expected = {{"model_name", "dyn"}, {"foo", "a=b"}};
  EXPECT_EQ(parse_custom_attributes(" model_name = dyn;junk; foo=a=b ;"), expected);
}

TEST(HttpText, HeaderNamesCompareWithoutCaseAndTheLastWins) {
  const HeaderList headers = {{"X-A", "1"}, {"x-a", "2"}};
  EXPECT_EQ(*find_header(headers, "X-a"), "2");
  EXPECT_EQ(find_header(headers, "X-B"), nullptr);
}

TEST(HttpText, Multipart) {
  const std::string type = "multipart/form-data; charset=utf-8; boundary=\"b 1\"";
  const auto parts = parse_multipart(
      type,
      "preamble\r\n--b 1\r\nContent-Disposition: form-data; name=\"data\"; filename=\"a;b\"\r\n"
      "Content-Type: application/json\r\n\r\n{\"inputs\": \"--b 1\"}\r\n--b 1  \r\n"
      "content-disposition: form-data; name=model_name\r\n\r\nm\r\n--b 1\r\n"
      "Content-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n--b 1--\r\nepilogue");
  ASSERT_TRUE(parts.has_value());
  ASSERT_EQ(parts->size(), 3u);
  EXPECT_EQ((*parts)[0].name, "data");
  EXPECT_EQ((*parts)[0].content_type, "application/json");
  EXPECT_EQ((*parts)[0].data, "{\"inputs\": \"--b 1\"}");
  EXPECT_EQ((*parts)[1].data, "m");
  EXPECT_EQ((*parts)[2].data, "");
}

TEST(HttpText, BrokenMultipartIsRefused) {
  const std::string type = "multipart/form-data; boundary=b";
  EXPECT_FALSE(parse_multipart("multipart/form-data", "--b\r\n\r\n\r\n--b--"));
  EXPECT_FALSE(parse_multipart("multipart/form-data; boundary=", "x"));
  for (const char* body :
       {"", "--b", "--b\r\n", "--b\r\nA: b\r\n\r\ncut", "--b\r\nA: b\r\n--b--", "no boundary"}) {
    EXPECT_FALSE(parse_multipart(type, body)) << body;
  }
}

TEST(HttpText, HeaderSafeRemovesWhatWouldBreakAHead) {
  EXPECT_EQ(header_safe("a\r\nSet: x\x7f\x01é"), "a  Set: x  ??");
  EXPECT_EQ(header_safe(std::string(5000, 'x')).size(), 512u);
}

TEST(HttpText, HeadsOfBareAndChunkedReplies) {
  HeadOptions options;
  options.bare = true;
  EXPECT_EQ(render_head(413, "", {}, options),
            "HTTP/1.1 413 Request Entity Too Large\r\ncontent-length: 0\r\n\r\n");
  options.keep_alive = false;
  EXPECT_EQ(render_head(413, "", {}, options),
            "HTTP/1.1 413 Request Entity Too Large\r\ncontent-length: 0\r\nconnection: "
            "close\r\n\r\n");
  HeadOptions chunked;
  chunked.framing = BodyFraming::kChunked;
  const std::string head = render_head(200, "", {{"x-request-id", "mine"}}, chunked);
  EXPECT_EQ(head,
            "HTTP/1.1 200 OK\r\nx-request-id: mine\r\nPragma: no-cache\r\n"
            "Cache-Control: no-cache; no-store, must-revalidate, private\r\n"
            "Expires: Thu, 01 Jan 1970 00:00:00 UTC\r\ntransfer-encoding: chunked\r\n"
            "connection: keep-alive\r\n\r\n");
}

TEST(HttpText, Chunks) {
  EXPECT_EQ(render_chunk(""), "");
  EXPECT_EQ(render_chunk(std::string(23, 'x')), "17\r\n" + std::string(23, 'x') + "\r\n");
}

TEST(HttpText, UuidsDiffer) {
  const std::string a = random_uuid(), b = random_uuid();
  EXPECT_NE(a, b);
  EXPECT_EQ(a.size(), 36u);
  EXPECT_EQ(a[14], '4');
}

}  // namespace
}  // namespace tensormill
