#include "server/request_content.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace tensormill {
namespace {

HttpRequest request(std::string body, HeaderList headers = {}, HeaderList query = {}) {
  HttpRequest out;
  out.method = "POST";
  out.body = std::move(body);
  out.headers = std::move(headers);
  out.query = std::move(query);
  return out;
}

TEST(RequestContent, RawBodiesKeepTheirType) {
  const HttpRequest json = request("{}", {{"Content-Type", "application/json; charset=utf-8"}});
  const RequestContent content(json);
  EXPECT_EQ(content.data(), "{}");
  EXPECT_EQ(content.content_type(), "application/json; charset=utf-8");
  const HttpRequest bare = request("text");
  EXPECT_EQ(RequestContent(bare).content_type(), "");
}

TEST(RequestContent, FormsGiveTheirDataFieldOrTheFirst) {
  const HeaderList form = {{"Content-Type", "application/x-www-form-urlencoded"}};
  const HttpRequest named = request("model_name=m&data=a+b", form);
  const RequestContent content(named);
  EXPECT_EQ(content.data(), "a b");
  EXPECT_EQ(content.content_type(), "text/plain");
  EXPECT_EQ(*content.field("model_name"), "m");
  const HttpRequest first = request("x=1&y=2", form);
  EXPECT_EQ(RequestContent(first).data(), "1");
}

TEST(RequestContent, AFormThatIsJsonIsJson) {
  const HttpRequest curl =
      request(R"( {"inputs": "a=b&c"})", {{"Content-Type", "application/x-www-form-urlencoded"}});
  const RequestContent content(curl);
  EXPECT_EQ(content.data(), R"( {"inputs": "a=b&c"})");
  EXPECT_EQ(content.content_type(), "application/json");
}

TEST(RequestContent, MultipartPartsKeepTheirOwnType) {
  const HttpRequest parts = request(
      "--b\r\nContent-Disposition: form-data; name=model_name\r\n\r\nm\r\n--b\r\n"
      "Content-Disposition: form-data; name=data\r\nContent-Type: application/json\r\n\r\n{}\r\n"
      "--b--\r\n",
      {{"Content-Type", "Multipart/form-data; boundary=b"}});
  const RequestContent content(parts);
  EXPECT_EQ(content.data(), "{}");
  EXPECT_EQ(content.content_type(), "application/json");
  EXPECT_EQ(*content.field("model_name"), "m");
  const HttpRequest broken = request("x", {{"Content-Type", "multipart/form-data; boundary=b"}});
  EXPECT_THROW(RequestContent{broken}, Error);
}

TEST(RequestContent, QueryDataServesWhereThereIsNoBody) {
  const HttpRequest get = request("", {}, {{"data", "from query"}});
  EXPECT_EQ(RequestContent(get).data(), "from query");
  const HttpRequest both = request("body", {}, {{"data", "from query"}});
  EXPECT_EQ(RequestContent(both).data(), "body");
}

TEST(RequestContent, Properties) {
  const HttpRequest with =
      request("", {{"Model_Name", "a"},
                   {"X-Amzn-SageMaker-Custom-Attributes", "model_version=v1;x-synchronous=false"}});
  EXPECT_EQ(request_property(with, "model_name"), "a");
  EXPECT_EQ(request_property(with, "model_version"), "v1");
  EXPECT_EQ(request_property(with, "X-Synchronous"), "false");
  EXPECT_EQ(request_property(with, "handler"), "");
}

TEST(RequestContent, ModelNameOfAJsonBody) {
  EXPECT_EQ(json_model_name(R"({"model": "m"})"), "m");
  EXPECT_EQ(json_model_name(R"({"messages": [{"model": "no"}], "model": "yes", broken)"), "yes");
  EXPECT_EQ(json_model_name(R"({"x": "model", "model": 3})"), "");
  EXPECT_EQ(json_model_name(R"(["model"])"), "");
  EXPECT_EQ(json_model_name(""), "");
  EXPECT_EQ(json_model_name(R"({"a":)" + std::string(100000, '[')), "");
}

}  // namespace
}  // namespace tensormill
