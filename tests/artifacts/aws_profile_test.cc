#include "artifacts/aws_profile.h"

#include <map>

#include "artifacts/aws_credentials.h"
#include "files.h"

namespace tensormill {
namespace {

EnvironmentLookup variables(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const char* name) {
    const auto found = values.find(name);
    return found == values.end() ? std::string() : found->second;
  };
}

TEST(AwsFile, SectionsAndValues) {
  const AwsSections sections = parse_aws_file(
      "# a comment\r\n"
      "lost = no section yet\n"
      "[default]\r\n"
      "region=eu-west-1\r\n"
      "aws_secret_access_key = a=b#c ; said so\n"
      "s3 =\n"
      "    max_concurrent_requests = 20\n"
      "[ profile  two ] # more\n"
      "; another\n"
      "region = us-east-2 # here\n"
      "no value\n"
      "[profile two]\n"
      "output=json");
  ASSERT_EQ(sections.size(), 2u);
  EXPECT_EQ(sections.at("default").at("region"), "eu-west-1");
  EXPECT_EQ(sections.at("default").at("aws_secret_access_key"), "a=b#c");
  EXPECT_EQ(sections.at("default").count("max_concurrent_requests"), 0u);
  EXPECT_EQ(sections.at("two").at("region"), "us-east-2");
  EXPECT_EQ(sections.at("two").at("output"), "json");
  EXPECT_TRUE(parse_aws_file("").empty());
  EXPECT_EQ(parse_aws_file("[unclosed\na=b").size(), 1u);
}

TEST(AwsProfiles, CredentialsWinOverConfig) {
  const TemporaryFolder folder;
  const auto credentials = folder.write("c", "[x]\naws_access_key_id=1\nregion=a\n");
  const auto config = folder.write("d", "[profile x]\nregion=b\nrole_arn=r\n[default]\nregion=z\n");
  const auto environment = variables({{"AWS_SHARED_CREDENTIALS_FILE", credentials},
                                      {"AWS_CONFIG_FILE", config},
                                      {"AWS_PROFILE", "x"}});
  const AwsProfiles profiles(environment);
  EXPECT_EQ(profiles.chosen(), "x");
  EXPECT_EQ(profiles.value("region"), "a");
  EXPECT_EQ(profiles.value("role_arn"), "r");
  EXPECT_EQ(profiles.value("default", "region"), "z");
  EXPECT_EQ(profiles.value("none", "region"), "");
  EXPECT_FALSE(profiles.has("none"));
  AwsCredentialChain chain(environment);
  EXPECT_EQ(chain.region(), "a");
  EXPECT_EQ(chain.endpoint("S3"), "");
}

TEST(AwsCredentials, FromTheEnvironmentAndProfiles) {
  const TemporaryFolder folder;
  const auto credentials = folder.write(
      "c",
      "[default]\naws_access_key_id=D\naws_secret_access_key=S\naws_session_token=T\n"
      "[sso]\nsso_session=x\n[lonely]\nrole_arn=r\n[circle]\nrole_arn=r\nsource_profile=circle\n");
  const auto chain = [&](std::map<std::string, std::string> values) {
    values.emplace("AWS_SHARED_CREDENTIALS_FILE", credentials);
    values.emplace("AWS_CONFIG_FILE", folder.path() / "none");
    values.emplace("AWS_EC2_METADATA_DISABLED", "true");
    return AwsCredentialChain(variables(values)).get();
  };
  const auto own = chain({{"AWS_ACCESS_KEY_ID", "A"}, {"AWS_SECRET_ACCESS_KEY", "B"}});
  ASSERT_TRUE(own);
  EXPECT_EQ(own->keys.access_key, "A");
  EXPECT_EQ(own->keys.session_token, "");
  const auto profile = chain({});
  ASSERT_TRUE(profile);
  EXPECT_EQ(profile->keys.access_key, "D");
  EXPECT_EQ(profile->keys.session_token, "T");
  EXPECT_EQ(profile->source, "profile default");
  const auto fails = [&](std::map<std::string, std::string> values, const char* part) {
    expect_error(ErrorKind::kConfigInvalid, {part}, [&] { chain(values); });
  };
  fails({{"AWS_ACCESS_KEY_ID", "A"}}, "AWS_SECRET_ACCESS_KEY");
  fails({{"AWS_PROFILE", "nobody"}}, "no such profile");
  fails({{"AWS_PROFILE", "lonely"}}, "expected source_profile");
  fails({{"AWS_PROFILE", "circle"}}, "expected source_profile");
  fails({{"AWS_WEB_IDENTITY_TOKEN_FILE", "/none"}}, "AWS_ROLE_ARN");
  expect_error(ErrorKind::kUnsupported, {"sso_session", "export-credentials"}, [&] {
    chain({{"AWS_PROFILE", "sso"}});
  });
}

TEST(AwsCredentials, NoneAndMoments) {
  const auto none = variables({{"HOME", "/nowhere"}, {"AWS_EC2_METADATA_DISABLED", "true"}});
  EXPECT_FALSE(AwsCredentialChain(none).get());
  const auto far = variables(
      {{"HOME", "/nowhere"}, {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.com/x"}});
  expect_error(ErrorKind::kConfigInvalid, {"expected https"},
               [&] { AwsCredentialChain(far).get(); });
  EXPECT_FALSE(parse_moment("soon"));
  EXPECT_EQ(std::chrono::system_clock::to_time_t(*parse_moment("2026-01-01T00:00:00Z")),
            1767225600);
}

}  // namespace
}  // namespace tensormill
