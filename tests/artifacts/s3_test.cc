#include "artifacts/s3.h"

#include "artifacts/transfer.h"
#include "artifacts/xml.h"
#include "files.h"

namespace tensormill {
namespace {

TEST(S3, Urls) {
  EXPECT_EQ(parse_s3_url("s3://b.c-d/k/l/").bucket, "b.c-d");
  EXPECT_EQ(parse_s3_url("s3://b/k/l/").key, "k/l/");
  EXPECT_EQ(parse_s3_url("s3://b").key, "");
  for (const char* bad : {"s3://", "s3:///k", "s3://b@c/k", "http://b", "s3://b:9/x"}) {
    expect_error(ErrorKind::kBadRequest, {"s3://bucket/prefix"}, [&] { parse_s3_url(bad); });
  }
}

TEST(S3, PagesOfAList) {
  const S3Page page = parse_s3_page(
      R"(<?xml version="1.0"?><ListBucketResult xmlns="x"><IsTruncated>true</IsTruncated>
         <Contents><Key>a &amp; b/&#233;</Key><ETag>&quot;0123-2&quot;</ETag><Size>5</Size></Contents>
         <NextContinuationToken>to/ken=</NextContinuationToken></ListBucketResult>)",
      "here");
  ASSERT_EQ(page.objects.size(), 1u);
  EXPECT_EQ(page.objects[0].key, "a & b/\xc3\xa9");
  EXPECT_EQ(page.objects[0].etag, "0123-2");
  EXPECT_EQ(page.objects[0].size, 5);
  EXPECT_EQ(page.next, "to/ken=");
  for (const char* bad :
       {"", "<a>", "<a/>", "<ListBucketResult><Contents/></ListBucketResult>",
        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        "<!DOCTYPE a [<!ENTITY e \"ee\">]><ListBucketResult>&e;</ListBucketResult>"}) {
    expect_error(ErrorKind::kArtifactInvalid, {"here"}, [&] { parse_s3_page(bad, "here"); });
  }
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "<a>";
  for (int i = 0; i < 100; ++i) deep += "</a>";
  expect_error(ErrorKind::kArtifactInvalid, {"here"}, [&] { parse_xml(deep, "here"); });
}

TEST(Transfer, RetryAfter) {
  const auto now = std::chrono::system_clock::from_time_t(1767225600);  // 2026-01-01
  const auto asked = [&](const std::string& value) {
    WebReply reply;
    reply.headers = {{"retry-after", value}};
    return retry_after(reply, now);
  };
  EXPECT_EQ(asked("7"), 7);
  EXPECT_EQ(asked("-7"), 0);
  EXPECT_EQ(asked("Thu, 01 Jan 2026 00:01:00 GMT"), 60);
  EXPECT_EQ(asked("Thu, 01 Jan 2025 00:01:00 GMT"), 0);
  EXPECT_EQ(asked("soon"), -1);
  EXPECT_EQ(retry_after({}, now), -1);
}

TEST(Transfer, GivesUp) {
  TransferLimits limits;
  limits.tries = 3;
  limits.first_wait = 0.001;
  Retry retry(limits, [] { return false; });
  EXPECT_TRUE(retry.wait("x"));
  EXPECT_TRUE(retry.wait("x"));
  retry.progressed();
  EXPECT_TRUE(retry.wait("x"));
  EXPECT_TRUE(retry.wait("x"));
  EXPECT_FALSE(retry.wait("x"));
  WebReply patient;
  patient.headers = {{"retry-after", "301"}};
  EXPECT_FALSE(Retry(limits, [] { return false; }).wait("x", &patient));
  expect_error(ErrorKind::kTimeout, {"interrupted"},
               [&] { Retry(limits, [] { return true; }).wait("x"); });
}

TEST(Transfer, LimitsOfTheEnvironment) {
  const auto limits = [](const char* connections, const char* range) {
    return transfer_limits([=](const char* name) -> std::string {
      return std::string_view(name) == "TENSORMILL_DOWNLOAD_CONNECTIONS" ? connections : range;
    });
  };
  EXPECT_EQ(limits("", "").connections, 8);
  EXPECT_EQ(limits("3", "2").connections, 3);
  EXPECT_EQ(limits("3", "2").piece_bytes, 2 << 20);
  for (const char* bad : {"0", "65", "x", "1x"}) {
    expect_error(ErrorKind::kConfigInvalid, {"TENSORMILL_DOWNLOAD_CONNECTIONS", "from 1 to 64"},
                 [&] { limits(bad, ""); });
  }
}

TEST(Web, UrlsAndEncoding) {
  EXPECT_EQ(origin_of("HTTPS://Host/x?y"), "https://host:443");
  EXPECT_EQ(origin_of("http://h:81"), "http://h:81");
  EXPECT_EQ(origin_of("file:///etc/passwd"), "");
  EXPECT_EQ(percent_encode("a b/\xc3\xa9+~", true), "a%20b/%C3%A9%2B~");
  EXPECT_EQ(percent_encode("refs/pr/1", false), "refs%2Fpr%2F1");
}

}  // namespace
}  // namespace tensormill
