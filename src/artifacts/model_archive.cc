#include "artifacts/model_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "artifacts/digest.h"
#include "artifacts/file_lock.h"
#include "artifacts/progress.h"
#include "artifacts/snapshot_cache.h"
#include "artifacts/web_client.h"
#include "base/error.h"
#include "base/model_id.h"

namespace fs = std::filesystem;

namespace tensormill {
namespace {

constexpr size_t kBlock = size_t{1} << 20;
using ArchiveHandle = std::unique_ptr<archive, decltype(&archive_read_free)>;

ArchiveHandle new_reader() {
  ArchiveHandle reader(archive_read_new(), &archive_read_free);
  if (!reader) throw_error(ErrorKind::kOutOfMemory, "no memory to read an archive");
  archive* a = reader.get();
  archive_read_support_format_tar(a);
  archive_read_support_format_zip(a);
  archive_read_support_filter_gzip(a);
  archive_read_support_filter_bzip2(a);
  archive_read_support_filter_xz(a);
  archive_read_support_filter_zstd(a);
  archive_read_support_filter_compress(a);
  return reader;
}

// "./a//b/" -> "a/b"; "" for "." itself.
std::string plain_name(std::string_view name) {
  std::string plain;
  for (size_t at = 0; at <= name.size();) {
    const size_t slash = std::min(name.find('/', at), name.size());
    const std::string_view part = name.substr(at, slash - at);
    at = slash + 1;
    if (part.empty() || part == ".") continue;
    if (!plain.empty()) plain += '/';
    plain += part;
  }
  return plain;
}

// What macOS adds for itself.
bool is_of_macos(const std::string& name) {
  const std::string last = name.substr(name.rfind('/') + 1);
  return name.starts_with("__MACOSX") || last.starts_with("._") || last == ".DS_Store";
}

class Unpacker {
 public:
  Unpacker(ArchiveHandle reader, std::string origin, fs::path folder, const UnpackLimits& limits,
           int64_t packed)
      : reader_(std::move(reader)),
        origin_(std::move(origin)),
        folder_(std::move(folder)),
        limits_(limits),
        most_(std::min(limits.bytes, std::max(limits.swelling_floor, packed * limits.swelling))) {}

  void run(Progress* progress);

 private:
  struct Link {
    std::string name, target;
  };

  [[noreturn]] void fail(const std::string& name, std::string_view what) const {
    throw_error(ErrorKind::kArtifactInvalid, "{}: \"{}\": {}", origin_, name, what);
  }
  [[noreturn]] void fail_library(const std::string& name) const {
    const char* text = archive_error_string(reader_.get());
    fail(name, text ? text : "is damaged");
  }
  std::string name_of(archive_entry* entry) const;
  void unpack(archive_entry* entry);
  void write_file(const std::string& name, mode_t mode);
  void write_block(int file, const std::string& name, const void* data, size_t size,
                   int64_t offset);
  void make_parents(const std::string& name);
  void make_links();

  ArchiveHandle reader_;
  std::string origin_;
  fs::path folder_;
  const UnpackLimits& limits_;
  int64_t most_, written_ = 0, entries_ = 0;
  std::vector<Link> links_;  // made at the end: nothing is written through one
};

std::string Unpacker::name_of(archive_entry* entry) const {
  const char* text = archive_entry_pathname_utf8(entry);
  if (!text) text = archive_entry_pathname(entry);
  const std::string raw = text ? text : "";
  if (raw.starts_with('/')) fail(raw, "an absolute path: refused");
  std::string name = plain_name(raw);
  if (!name.empty() && !is_safe_path(name)) fail(raw, "a path that leads out: refused");
  return name;
}

void Unpacker::make_parents(const std::string& name) {
  std::error_code error;
  fs::create_directories((folder_ / name).parent_path(), error);
  if (error) fail(name, "its folder could not be made: " + error.message());
}

void Unpacker::write_block(int file, const std::string& name, const void* data, size_t size,
                           int64_t offset) {
  const auto* bytes = static_cast<const char*>(data);
  // A file with holes is as large as its last byte says.
  written_ = std::max(written_, offset) + static_cast<int64_t>(size);
  if (written_ > most_ || offset > most_) {
    fail(name,
         fmt::format("unpacks to more than {}: refused", bytes_text(static_cast<double>(most_))));
  }
  while (size > 0) {
    const ssize_t count = ::pwrite(file, bytes, size, offset);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == ENOSPC || errno == EDQUOT)) {
      throw_error(ErrorKind::kOutOfMemory, "{}: \"{}\": the disk of {} is full", origin_, name,
                  folder_.parent_path().string());
    }
    if (count <= 0) fail(name, std::strerror(errno));
    bytes += count;
    size -= static_cast<size_t>(count);
    offset += count;
  }
}

void Unpacker::write_file(const std::string& name, mode_t mode) {
  make_parents(name);
  const fs::path path = folder_ / name;
  std::error_code ignored;
  if (fs::is_regular_file(fs::symlink_status(path, ignored))) fs::remove(path, ignored);
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                          (mode & 0111) ? 0755 : 0644);
  if (file < 0) fail(name, std::strerror(errno));
  const std::unique_ptr<const int, void (*)(const int*)> closer(&file,
                                                                [](const int* f) { ::close(*f); });
  while (true) {
    const void* data = nullptr;
    size_t size = 0;
    la_int64_t offset = 0;
    const int code = archive_read_data_block(reader_.get(), &data, &size, &offset);
    if (code == ARCHIVE_EOF) return;
    if (code < ARCHIVE_OK) fail_library(name);
    if (transfers_cancelled()) throw_cancelled();
    write_block(file, name, data, size, offset);
  }
}

void Unpacker::unpack(archive_entry* entry) {
  const std::string name = name_of(entry);
  if (++entries_ > limits_.entries) {
    fail(name, fmt::format("more than {} entries: refused", limits_.entries));
  }
  if (name.empty() || is_of_macos(name)) return;
  const char* hard = archive_entry_hardlink_utf8(entry);
  if (!hard) hard = archive_entry_hardlink(entry);
  if (hard) {
    const std::string target = plain_name(hard);
    if (std::string_view(hard).starts_with('/') || !is_safe_path(target)) {
      fail(name, fmt::format("a link to \"{}\": refused", hard));
    }
    links_.push_back({name, fs::path(target).lexically_relative(fs::path(name).parent_path())});
    if (fs::path(name).parent_path().empty()) links_.back().target = target;
    return;
  }
  switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
      return write_file(name, archive_entry_perm(entry));
    case AE_IFDIR:
      return make_parents(name + "/x");
    case AE_IFLNK: {
      const char* target = archive_entry_symlink_utf8(entry);
      if (!target) target = archive_entry_symlink(entry);
      links_.push_back({name, target ? target : ""});
      return;
    }
    default:
      fail(name, "neither a file, a folder nor a link: refused");
  }
}

// Links whose targets, seen with all links in place, lie in the folder.
void Unpacker::make_links() {
  std::error_code error;
  const fs::path root = fs::canonical(folder_, error);
  for (const Link& link : links_) {
    const fs::path target = (fs::path(link.name).parent_path() / link.target).lexically_normal();
    const bool out = link.target.empty() || link.target.starts_with('/') || target.empty() ||
                     *target.begin() == "..";
    if (out) fail(link.name, fmt::format("a link to \"{}\": refused", link.target));
    // Nothing is made through a link: only when all are in place is it known where one leads.
    for (fs::path up = fs::path(link.name).parent_path(); !up.empty(); up = up.parent_path()) {
      if (fs::is_symlink(folder_ / up, error)) {
        fail(link.name, fmt::format("lies behind the link \"{}\": refused", up.string()));
      }
    }
    make_parents(link.name);
    fs::create_symlink(link.target, folder_ / link.name, error);
    if (error) fail(link.name, "the link could not be made: " + error.message());
  }
  for (const Link& link : links_) {
    const fs::path real = fs::canonical(folder_ / link.name, error);
    const fs::path inside = error ? fs::path("..") : real.lexically_relative(root);
    if (inside.empty() || *inside.begin() == "..") {
      fail(link.name,
           fmt::format("a link to \"{}\", which isn't in the archive: refused", link.target));
    }
  }
}

void Unpacker::run(Progress* progress) {
  archive_entry* entry = nullptr;
  int64_t consumed = 0;
  while (true) {
    const int code = archive_read_next_header(reader_.get(), &entry);
    if (code == ARCHIVE_EOF) break;
    if (code < ARCHIVE_WARN) fail_library("(header)");
    unpack(entry);
    const int64_t now = archive_filter_bytes(reader_.get(), -1);
    if (progress) progress->add(now - consumed);
    consumed = now;
  }
  make_links();
  if (entries_ == 0) fail("(header)", "the archive is empty");
}

// Gone with the object unless it was moved away.
struct PartialFolder {
  fs::path path;
  ~PartialFolder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

// Where one folder is all there is, that one.
fs::path inner(const fs::path& folder) {
  std::vector<fs::path> entries;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (!entry.path().filename().string().starts_with('.')) entries.push_back(entry.path());
  }
  return entries.size() == 1 && fs::is_directory(entries[0]) ? entries[0] : folder;
}

}  // namespace

void unpack_bytes(std::span<const std::byte> bytes, const std::string& origin,
                  const fs::path& folder, const UnpackLimits& limits) {
  ArchiveHandle reader = new_reader();
  if (archive_read_open_memory(reader.get(), bytes.data(), bytes.size()) != ARCHIVE_OK) {
    const char* text = archive_error_string(reader.get());
    throw_error(ErrorKind::kArtifactInvalid, "{}: {}", origin, text ? text : "is no archive");
  }
  Unpacker(std::move(reader), origin, folder, limits, static_cast<int64_t>(bytes.size()))
      .run(nullptr);
}

fs::path unpack_model_archive(const fs::path& archive, const fs::path& cache,
                              const UnpackLimits& limits) {
  struct stat info {};
  const fs::path real = fs::weakly_canonical(archive);
  if (::stat(real.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) {
    throw_error(ErrorKind::kNotFound, "{}: expected a model archive", archive.string());
  }
  const std::string key = fmt::format("{}\n{}\n{}.{}", real.string(), info.st_size,
                                      info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
  const std::string stem(without_archive_suffix(archive.filename().string()));
  const fs::path target = cache / (stem + "-" + hex(sha256(key)).substr(0, 16));
  if (fs::is_directory(target)) return inner(target);

  const FileLock lock(target.string() + ".lock");
  if (fs::is_directory(target)) return inner(target);
  const PartialFolder partial{target.string() + ".partial"};
  std::error_code error;
  fs::remove_all(partial.path, error);
  fs::create_directories(partial.path, error);
  if (error) {
    throw_error(ErrorKind::kConfigInvalid, "{}: could not be made: {}", partial.path.string(),
                error.message());
  }
  spdlog::info("unpacking {} to {}", archive.string(), target.string());
  ArchiveHandle reader = new_reader();
  if (archive_read_open_filename(reader.get(), real.c_str(), kBlock) != ARCHIVE_OK) {
    const char* text = archive_error_string(reader.get());
    throw_error(ErrorKind::kArtifactInvalid, "{}: {}", archive.string(),
                text ? text : "is no archive");
  }
  {
    Progress progress("unpacking " + archive.filename().string(), info.st_size, [] {});
    Unpacker(std::move(reader), archive.string(), partial.path, limits, info.st_size)
        .run(&progress);
  }
  fs::rename(partial.path, target, error);
  if (error) {
    throw_error(ErrorKind::kConfigInvalid, "{}: could not be made: {}", target.string(),
                error.message());
  }
  return inner(target);
}

}  // namespace tensormill
