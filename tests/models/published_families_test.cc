// golden/models/<family>/published.json: config.json of published checkpoints, with the number of
// parameters where it is known. Each must be read whole, and give that number.

#include <gtest/gtest.h>

#include "fixture.h"
#include "models/describe.h"
#include "models/spec.h"

namespace tensormill {
namespace {

struct PublishedModel {
  std::string family, name;
  Json config;
  int64_t parameters;  // 0: not known
};

void PrintTo(const PublishedModel& model, std::ostream* out) {
  *out << model.family << " " << model.name;
}

std::vector<PublishedModel> published_models() {
  std::vector<PublishedModel> all;
  for (const std::string& family : supported_model_types()) {
    const auto file =
        std::filesystem::path(TENSORMILL_GOLDEN) / "models" / family / "published.json";
    if (!std::filesystem::exists(file)) continue;
    for (const Json& item : read_json_file(file)) {
      all.push_back({family, item.at("name"), item.at("config"), item.value("parameters", 0L)});
    }
  }
  return all;
}

class PublishedModels : public testing::TestWithParam<PublishedModel> {};

TEST_P(PublishedModels, AreRead) {
  const PublishedModel& published = GetParam();
  const TemporaryFolder folder;
  folder.write("config.json", published.config.dump());
  const Description description = describe_model(folder.path());
  EXPECT_EQ(description.info.model_type, published.family);
  if (published.parameters > 0) {
    EXPECT_EQ(description.info.parameters, published.parameters);
  }
}

std::string test_name(const testing::TestParamInfo<PublishedModel>& info) {
  return test_text(info.param.family + "_" + info.param.name);
}

INSTANTIATE_TEST_SUITE_P(Families, PublishedModels, testing::ValuesIn(published_models()),
                         test_name);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(PublishedModels);

}  // namespace
}  // namespace tensormill
