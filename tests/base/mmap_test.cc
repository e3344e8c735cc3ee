#include "base/mmap.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"

namespace tensormill {
namespace {

TEST(MappedFile, HasTheFilesBytes) {
  const auto path = std::filesystem::temp_directory_path() / "tensormill-mmap-test";
  std::ofstream(path) << "abc";
  const auto mapped = MappedFile::open(path);
  std::filesystem::remove(path);  // the mapping stays
  ASSERT_EQ(mapped->bytes().size(), 3U);
  EXPECT_EQ(mapped->bytes()[2], std::byte{'c'});
  EXPECT_EQ(mapped->path(), path.string());
  std::ofstream(path).close();
  EXPECT_TRUE(MappedFile::open(path)->bytes().empty());
  std::filesystem::remove(path);
}

TEST(MappedFile, SaysWhyItCantOpen) {
  try {
    MappedFile::open("/nowhere/at/all");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNotFound);
    EXPECT_STREQ(error.what(), "/nowhere/at/all: No such file or directory");
  }
  EXPECT_THROW(MappedFile::open(std::filesystem::temp_directory_path()), Error);
}

}  // namespace
}  // namespace tensormill
