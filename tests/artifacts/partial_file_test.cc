#include "artifacts/partial_file.h"

#include "files.h"

namespace tensormill {
namespace {

namespace fs = std::filesystem;

void append(PartialFile& file, size_t piece, std::string_view text) {
  file.append(piece, as_bytes(text));
}

TEST(PartialFile, OnePieceGoesOnFromItsSize) {
  const TemporaryFolder folder;
  const fs::path base = folder.path() / "b/x";
  {
    PartialFile file(base, 6, 10, "t");
    EXPECT_EQ(file.pieces(), 1u);
    EXPECT_EQ(file.missing_bytes(), 6);
    append(file, 0, "abc");
  }
  EXPECT_EQ(read_text(base.string() + ".incomplete"), "abc");
  PartialFile file(base, 6, 10, "t");
  EXPECT_EQ(file.missing(0).begin, 3);
  append(file, 0, "def");
  EXPECT_EQ(file.missing_bytes(), 0);
  file.move_to(folder.path() / "done/y");
  EXPECT_EQ(read_text(folder.path() / "done/y"), "abcdef");
  EXPECT_TRUE(fs::is_empty(folder.path() / "b"));
}

TEST(PartialFile, MoreThanTheFileHoldsIsDropped) {
  const TemporaryFolder folder;
  folder.write("x.incomplete", "too long");
  PartialFile file(folder.path() / "x", 3, 10, "t");
  EXPECT_EQ(file.missing(0).begin, 0);
}

TEST(PartialFile, PiecesInAnyOrderOverSeveralRuns) {
  const TemporaryFolder folder;
  const fs::path base = folder.path() / "x";
  {
    PartialFile file(base, 10, 4, "t");
    ASSERT_EQ(file.pieces(), 3u);
    append(file, 2, "ij");
    append(file, 1, "ef");
    file.save();
    append(file, 0, "ab");  // nobody knows: it comes again
  }
  {
    PartialFile file(base, 10, 4, "t");
    EXPECT_EQ(file.missing_bytes(), 6);
    ASSERT_EQ(file.pieces(), 2u);
    EXPECT_EQ(file.missing(0).begin, 0);
    EXPECT_EQ(file.missing(1).begin, 6);
    append(file, 1, "gh");
    append(file, 0, "abcd");
    file.move_to(folder.path() / "y");
  }
  EXPECT_EQ(read_text(folder.path() / "y"), "abcdefghij");
  EXPECT_FALSE(fs::exists(base.string() + ".ranges.json"));
}

TEST(PartialFile, AnotherContentOrAJournalThatLiesBeginsAnew) {
  const TemporaryFolder folder;
  const fs::path base = folder.path() / "x";
  const auto journal = [&](const std::string& text) {
    folder.write("x.ranges.incomplete", "0123456789");
    folder.write("x.ranges.json", text);
    return PartialFile(base, 10, 4, "t").missing_bytes();
  };
  EXPECT_EQ(journal(R"({"size": 10, "tag": "t", "missing": [[2, 4]]})"), 2);
  EXPECT_EQ(journal(R"({"size": 10, "tag": "u", "missing": [[2, 4]]})"), 10);
  EXPECT_EQ(journal(R"({"size": 11, "tag": "t", "missing": [[2, 4]]})"), 10);
  EXPECT_EQ(journal(R"({"size": 10, "tag": "t", "missing": [[2, 40]]})"), 10);
  EXPECT_EQ(journal(R"({"size": 10, "tag": "t", "missing": [[5, 6], [2, 4]]})"), 10);
  EXPECT_EQ(journal("{"), 10);
  fs::remove(base.string() + ".ranges.json");
  EXPECT_EQ(PartialFile(base, 10, 4, "t").missing_bytes(), 10);
}

TEST(PartialFile, TakesUpASequentialDownload) {
  const TemporaryFolder folder;
  folder.write("x.incomplete", "abc");
  PartialFile file(folder.path() / "x", 10, 4, "t");
  EXPECT_EQ(file.missing_bytes(), 7);
  EXPECT_FALSE(fs::exists(folder.path() / "x.incomplete"));
  file.make_one_piece();
  EXPECT_EQ(file.pieces(), 1u);
  EXPECT_EQ(file.missing_bytes(), 10);
  append(file, 0, "0123456789");
  file.move_to(folder.path() / "y");
  EXPECT_EQ(read_text(folder.path() / "y"), "0123456789");
}

TEST(PartialFile, AFolderThatCantBeWritten) {
  expect_error(ErrorKind::kConfigInvalid, {"/proc/none/x.incomplete"},
               [] { PartialFile("/proc/none/x", 3, 10, "t"); });
}

}  // namespace
}  // namespace tensormill
