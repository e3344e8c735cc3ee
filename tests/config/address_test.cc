#include "config/address.h"

#include "fixture.h"

namespace tensormill {
namespace {

TEST(Address, ReadsHostsPortsAndPaths) {
  const Address plain = parse_address("http://0.0.0.0:8080", "x");
  EXPECT_EQ(plain.host, "0.0.0.0");
  EXPECT_EQ(plain.port, 8080);
  EXPECT_EQ(parse_address("http://localhost", "x").port, 80);
  EXPECT_EQ(parse_address("http://localhost/", "x").host, "localhost");
  EXPECT_EQ(parse_address("http://h:0", "x").port, 0);
  const Address v6 = parse_address("http://[::1]:81", "x");
  EXPECT_EQ(v6.host, "::1");
  EXPECT_EQ(v6.port, 81);
  const Address path = parse_address("unix:/tmp/x.sock", "x");
  EXPECT_EQ(path.kind, Address::Kind::kUnix);
  EXPECT_EQ(path.host, "/tmp/x.sock");
  for (const char* text : {"http://h:81", "http://[::1]:81", "unix:/a"}) {
    EXPECT_EQ(format_address(parse_address(text, "x")), text);
  }
}

TEST(Address, SaysWhatIsInvalid) {
  for (const char* text : {"", "localhost:8080", "http://", "http://:80", "http://h:", "http://h:x",
                           "http://h:65535", "http://h:-1", "http://h:1:2", "http://[::1",
                           "unix:", "unix:x", "http://h/p", "http://[::1]x"}) {
    const Failure failure = failure_of([&] { parse_address(text, "label"); });
    EXPECT_THAT(failure.message,
                testing::StartsWith(std::string("label: Invalid binding address: ") + text));
    EXPECT_EQ(failure.kind, ErrorKind::kConfigInvalid) << text;
  }
  const Failure tls = failure_of([] { parse_address("https://h:443", "label"); });
  EXPECT_EQ(tls.kind, ErrorKind::kUnsupported);
  EXPECT_THAT(tls.message, testing::HasSubstr("TLS"));
}

}  // namespace
}  // namespace tensormill
