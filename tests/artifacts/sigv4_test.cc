#include "artifacts/sigv4.h"

#include <gtest/gtest.h>

#include <ctime>

#include "artifacts/digest.h"
#include "artifacts/environment.h"

namespace tensormill {
namespace {

std::chrono::system_clock::time_point moment(int year, int month, int day, int hour, int minute) {
  std::tm time{};
  time.tm_year = year - 1900;
  time.tm_mon = month - 1;
  time.tm_mday = day;
  time.tm_hour = hour;
  time.tm_min = minute;
  return std::chrono::system_clock::from_time_t(::timegm(&time));
}

std::string secret(const WebRequest& request, const std::string& name) {
  for (const auto& [key, value] : request.secrets) {
    if (key == name) return value;
  }
  return {};
}

std::string signature(const WebRequest& request) {
  const std::string header = secret(request, "Authorization");
  return header.substr(header.rfind('=') + 1);
}

// The values of AWS's own test suite for Signature Version 4.
TEST(SigV4, PublishedSuite) {
  const AwsKeys keys{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""};
  const auto sign = [&](const std::string& method, const std::string& rest,
                        std::vector<std::pair<std::string, std::string>> headers = {}) {
    WebRequest request;
    request.method = method;
    request.url = "https://example.amazonaws.com" + rest;
    request.headers = std::move(headers);
    sign_v4(request, keys, "us-east-1", "service", moment(2015, 8, 30, 12, 36));
    EXPECT_EQ(secret(request, "x-amz-date"), "20150830T123600Z");
    return signature(request);
  };
  EXPECT_EQ(sign("GET", "/"), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
  EXPECT_EQ(sign("GET", ""), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
  EXPECT_EQ(sign("GET", "/?Param2=value2&Param1=value1"),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
  EXPECT_EQ(sign("POST", "/"), "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
  EXPECT_EQ(sign("GET", "/", {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}}),
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736");
}

// The examples of S3's documentation.
TEST(SigV4, ExamplesOfS3) {
  const AwsKeys keys{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};
  const auto sign = [&](const std::string& rest,
                        std::vector<std::pair<std::string, std::string>> headers = {}) {
    WebRequest request;
    request.url = "https://examplebucket.s3.amazonaws.com" + rest;
    request.headers = std::move(headers);
    sign_v4(request, keys, "us-east-1", "s3", moment(2013, 5, 24, 0, 0));
    EXPECT_EQ(secret(request, "x-amz-content-sha256"),
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    return signature(request);
  };
  EXPECT_EQ(sign("/test.txt", {{"Range", "bytes=0-9"}}),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  EXPECT_EQ(sign("/?lifecycle"),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  EXPECT_EQ(sign("/?max-keys=2&prefix=J"),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(SigV4, SessionTokensAndPortsAreSigned) {
  WebRequest request;
  request.url = "http://localhost:9000/b/k";
  sign_v4(request, {"A", "B", "token=="}, "r", "s3", moment(2020, 1, 1, 0, 0));
  EXPECT_EQ(secret(request, "x-amz-security-token"), "token==");
  EXPECT_NE(secret(request, "Authorization")
                .find("Credential=A/20200101/r/s3/aws4_request, SignedHeaders="
                      "host;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature="),
            std::string::npos);
  WebRequest plain = request, full = request;
  plain.secrets.clear();
  full.secrets.clear();
  plain.url = "http://localhost/b/k";
  full.url = "http://localhost:80/b/k";
  sign_v4(plain, {"A", "B", ""}, "r", "s3", moment(2020, 1, 1, 0, 0));
  sign_v4(full, {"A", "B", ""}, "r", "s3", moment(2020, 1, 1, 0, 0));
  EXPECT_EQ(signature(plain), signature(full));  // clients leave a scheme's own port out
}

TEST(Digest, KnownValues) {
  EXPECT_EQ(hex(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

}  // namespace
}  // namespace tensormill
