#include "base/model_id.h"

#include <gtest/gtest.h>

#include <string>

namespace tensormill {
namespace {

// As huggingface_hub's validate_repo_id takes them.
TEST(ModelId, IdsOfTheHub) {
  for (const char* id : {"gpt2", "org/name", "Org-1/Some_model.v2", "a/b"}) {
    EXPECT_TRUE(is_hub_id(id)) << id;
  }
  const std::string longest(96, 'a'), longer(97, 'a');
  EXPECT_TRUE(is_hub_id(longest));
  for (const std::string& id :
       {std::string(""), std::string("/x"), std::string("x/"), std::string("a/b/c"),
        std::string("./x"), std::string("../x"), std::string("~/x"), std::string("a--b/c"),
        std::string("a/b..c"), std::string("-a/b"), std::string("a/b."), std::string("a/b.git"),
        std::string("a b"), std::string("a:b"), std::string("s3://b"), longer}) {
    EXPECT_FALSE(is_hub_id(id)) << id;
  }
}

TEST(ModelId, Archives) {
  EXPECT_EQ(without_archive_suffix("a/m.tar.gz"), "a/m");
  EXPECT_EQ(without_archive_suffix("m.TGZ"), "m");
  EXPECT_EQ(without_archive_suffix("m.tar"), "m");
  EXPECT_EQ(without_archive_suffix("m.gz"), "m.gz");
  EXPECT_TRUE(has_archive_suffix("m.zip"));
  EXPECT_FALSE(has_archive_suffix("zip"));
  EXPECT_FALSE(has_archive_suffix(".zip"));
}

}  // namespace
}  // namespace tensormill
