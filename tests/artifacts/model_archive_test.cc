#include "artifacts/model_archive.h"

#include <archive.h>
#include <archive_entry.h>

#include <map>
#include <vector>

#include "files.h"

namespace tensormill {
namespace {

namespace fs = std::filesystem;

struct Entry {
  std::string name, content = {}, link = {};
  unsigned type = AE_IFREG;
  bool hard = false;
};

std::string pack(const std::vector<Entry>& entries, bool zip = false) {
  std::string bytes(size_t{1} << 20, '\0');
  size_t used = 0;
  archive* a = archive_write_new();
  zip ? archive_write_set_format_zip(a) : archive_write_set_format_pax_restricted(a);
  if (!zip) archive_write_add_filter_gzip(a);
  archive_write_open_memory(a, bytes.data(), bytes.size(), &used);
  for (const Entry& entry : entries) {
    archive_entry* e = archive_entry_new();
    archive_entry_set_pathname(e, entry.name.c_str());
    archive_entry_set_filetype(e, entry.type);
    archive_entry_set_perm(e, 0644);
    archive_entry_set_size(e, static_cast<la_int64_t>(entry.content.size()));
    if (entry.type == AE_IFLNK) archive_entry_set_symlink(e, entry.link.c_str());
    if (entry.hard) archive_entry_set_hardlink(e, entry.link.c_str());
    archive_write_header(a, e);
    archive_write_data(a, entry.content.data(), entry.content.size());
    archive_entry_free(e);
  }
  archive_write_close(a);
  archive_write_free(a);
  bytes.resize(used);
  return bytes;
}

class ModelArchive : public testing::Test {
 protected:
  fs::path unpack(const std::vector<Entry>& entries, bool zip = false) {
    const fs::path archive = folder_.write(fmt::format("a{}.tar.gz", ++count_), pack(entries, zip));
    return unpack_model_archive(archive, cache_);
  }
  void refuses(const std::vector<Entry>& entries, const char* message) {
    expect_error(ErrorKind::kArtifactInvalid, {".tar.gz", message}, [&] { unpack(entries); });
    for (const fs::directory_entry& left : fs::directory_iterator(cache_)) {
      EXPECT_EQ(left.path().extension(), ".lock") << left.path();
    }
    EXPECT_FALSE(fs::exists(folder_.path() / "evil"));
  }

  const TemporaryFolder folder_;
  const fs::path cache_ = folder_.path() / "cache";
  int count_ = 0;
};

TEST_F(ModelArchive, UnpacksOnce) {
  const fs::path archive = folder_.write(
      "m.tar.gz", pack({{"./config.json", "{}"}, {"./sub/x", "y"}, {"._config.json", "mac"}}));
  const fs::path folder = unpack_model_archive(archive, cache_);
  EXPECT_EQ(read_text(folder / "config.json"), "{}");
  EXPECT_EQ(read_text(folder / "sub/x"), "y");
  EXPECT_FALSE(fs::exists(folder / "._config.json"));
  fs::remove(folder / "sub/x");
  EXPECT_EQ(unpack_model_archive(archive, cache_), folder);
  EXPECT_FALSE(fs::exists(folder / "sub/x"));  // it wasn't unpacked again
  fs::last_write_time(archive, fs::last_write_time(archive) + std::chrono::seconds(1));
  EXPECT_NE(unpack_model_archive(archive, cache_), folder);
}

TEST_F(ModelArchive, OneFolderInsideIsTheModel) {
  const fs::path folder = unpack({{"model/config.json", "{}"}, {"__MACOSX/x", "y"}});
  EXPECT_EQ(folder.filename(), "model");
  EXPECT_EQ(read_text(folder / "config.json"), "{}");
  EXPECT_EQ(read_text(unpack({{"a", "b"}, {"c/d", "e"}}, true) / "c/d"), "e");
}

TEST_F(ModelArchive, LinksInside) {
  const fs::path folder = unpack({{"blobs/1", "content"},
                                  {"snap/a", "", "../blobs/1", AE_IFLNK},
                                  {"snap/b", "", "blobs/1", AE_IFREG, true},
                                  {"c", "", "snap/a", AE_IFREG, true}});
  for (const char* name : {"snap/a", "snap/b", "c"}) {
    EXPECT_EQ(read_text(folder / name), "content") << name;
  }
}

TEST_F(ModelArchive, RefusesWhatLeadsOut) {
  fs::create_directories(cache_);
  refuses({{"../evil", "x"}}, "leads out");
  refuses({{"a/../../evil", "x"}}, "leads out");
  refuses({{"/tmp/evil", "x"}}, "absolute");
  refuses({{"l", "", "/etc", AE_IFLNK}}, "a link to");
  refuses({{"l", "", "..", AE_IFLNK}}, "a link to");
  refuses({{"a/l", "", "../../x", AE_IFLNK}}, "a link to");
  refuses({{"l", "", "../evil", AE_IFREG, true}}, "a link to");
  refuses({{"l", "", "nothing", AE_IFLNK}}, "isn't in the archive");
  refuses({{"l", "", "l", AE_IFLNK}}, "isn't in the archive");
  // Each of the two looks harmless alone.
  refuses({{"d", "", ".", AE_IFLNK}, {"e", "", "d/..", AE_IFLNK}}, "isn't in the archive");
  // A file below a link isn't written through it: the link can't be made any more.
  refuses({{"d", "", "/tmp", AE_IFLNK}, {"d/evil", "x"}}, "refused");
  refuses({{"d", "", "x", AE_IFLNK}, {"x/y", "z"}, {"d/evil", "x"}}, "could not be made");
  // Nor is anything made behind a link that another one turns outward.
  refuses({{"d/x/up", "", "../..", AE_IFLNK},
           {"e", "", "d/x/up/..", AE_IFLNK},
           {"e/outside/l", "", "../e", AE_IFLNK}},
          "behind the link");
  EXPECT_FALSE(fs::exists(cache_.parent_path() / "outside"));
  EXPECT_FALSE(fs::exists(cache_ / "outside"));
  refuses({{"fifo", "", "", AE_IFIFO}}, "neither a file");
}

TEST_F(ModelArchive, RefusesWhatIsDamagedOrTooLarge) {
  fs::create_directories(cache_);
  refuses({}, "empty");
  const std::string whole = pack({{"a", std::string(100000, 'x')}, {"b", "y"}});
  for (const size_t size : {size_t{0}, size_t{10}, whole.size() / 2, whole.size() - 1}) {
    const fs::path archive = folder_.write("cut.tar.gz", whole.substr(0, size));
    expect_error(ErrorKind::kArtifactInvalid, {"cut.tar.gz"},
                 [&] { unpack_model_archive(archive, cache_); });
  }
  UnpackLimits limits;
  limits.bytes = 50000;
  const fs::path archive = folder_.write("whole.tar.gz", whole);
  expect_error(ErrorKind::kArtifactInvalid, {"unpacks to more than 50.0 kB"},
               [&] { unpack_model_archive(archive, cache_, limits); });
  limits = {};
  limits.swelling = 2;
  limits.swelling_floor = 1000;
  expect_error(ErrorKind::kArtifactInvalid, {"unpacks to more than"},
               [&] { unpack_model_archive(archive, cache_, limits); });
  limits = {};
  limits.entries = 1;
  expect_error(ErrorKind::kArtifactInvalid, {"more than 1 entries"},
               [&] { unpack_model_archive(archive, cache_, limits); });
  expect_error(ErrorKind::kNotFound, {"none.zip"},
               [&] { unpack_model_archive(folder_.path() / "none.zip", cache_); });
}

}  // namespace
}  // namespace tensormill
