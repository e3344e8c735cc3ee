#include "artifacts/snapshot_cache.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>

#include "artifacts/file_lock.h"
#include "base/error.h"

namespace fs = std::filesystem;

namespace tensormill {
namespace {

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  });
}

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

[[noreturn]] void throw_write(const fs::path& path, const std::error_code& error) {
  throw_error(ErrorKind::kConfigInvalid,
              "{}: could not be written: {}; expected a cache folder that can be", path.string(),
              error.message());
}

}  // namespace

bool is_commit(std::string_view revision) {
  return revision.size() == 40 && is_hex(revision);
}

bool is_safe_path(std::string_view path) {
  if (path.empty() || path.size() > 1024) return false;
  for (size_t at = 0; at <= path.size();) {
    const size_t slash = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, slash - at);
    if (part.empty() || part == "." || part == ".." || part.size() > 255) return false;
    at = slash + 1;
  }
  return std::none_of(path.begin(), path.end(),
                      [](unsigned char c) { return c < 32 || c == 127 || c == '\\'; });
}

SnapshotCache::SnapshotCache(fs::path root, std::string name)
    : root_(std::move(root)), folder_(root_ / name), name_(std::move(name)) {}

fs::path SnapshotCache::snapshot(const std::string& commit) const {
  return folder_ / "snapshots" / commit;
}

std::optional<std::string> SnapshotCache::commit_of(const std::string& revision) const {
  std::ifstream stream(folder_ / "refs" / revision, std::ios::binary);
  std::string commit;
  if (stream && std::getline(stream, commit)) {
    while (!commit.empty() && (commit.back() == '\r' || commit.back() == ' ')) commit.pop_back();
    if (is_safe_path(commit) && commit.find('/') == std::string::npos) return commit;
  }
  if (is_commit(revision) && is_there(snapshot(revision))) return revision;
  return std::nullopt;
}

std::optional<fs::path> SnapshotCache::find(const std::string& revision) const {
  const std::optional<std::string> commit = commit_of(revision);
  if (!commit || !is_there(snapshot(*commit))) return std::nullopt;
  return snapshot(*commit);
}

bool SnapshotCache::has(const std::string& commit, const File& file) const {
  return is_there(snapshot(commit) / file.path);
}

void SnapshotCache::link(const std::string& commit, const File& file) const {
  const fs::path pointer = snapshot(commit) / file.path;
  const fs::path blob = folder_ / "blobs" / file.etag;
  std::error_code error;
  fs::create_directories(pointer.parent_path(), error);
  // Made under another name first: whoever reads the snapshot finds all of a link or nothing.
  const fs::path fresh = pointer.string() + ".new-link";
  fs::remove(fresh, error);
  fs::create_symlink(blob.lexically_relative(pointer.parent_path()), fresh, error);
  if (error) {
    // A file system without links.
    fs::copy_file(blob, fresh, fs::copy_options::overwrite_existing, error);
  }
  if (!error) fs::rename(fresh, pointer, error);
  if (error) throw_write(pointer, error);
}

void SnapshotCache::set_ref(const std::string& revision, const std::string& commit) const {
  if (revision == commit || commit_of(revision) == commit) return;
  const fs::path ref = folder_ / "refs" / revision, fresh = ref.string() + ".new";
  std::error_code error;
  fs::create_directories(ref.parent_path(), error);
  std::ofstream(fresh, std::ios::binary) << commit;
  fs::rename(fresh, ref, error);
  if (error) spdlog::warn("{}: could not be written: {}", ref.string(), error.message());
}

void SnapshotCache::fetch(const std::string& commit, std::vector<File> files,
                          const TransferLimits& limits, const std::string& label) const {
  for (const File& file : files) {
    if (is_safe_path(file.path) && is_safe_path(file.etag) &&
        file.etag.find('/') == std::string::npos) {
      continue;
    }
    throw_error(ErrorKind::kArtifactInvalid, "{}: a file with the name \"{}\" ({}): refused", label,
                file.path, file.etag);
  }
  std::erase_if(files, [&](const File& file) { return has(commit, file); });
  if (files.empty()) return;
  std::error_code error;
  fs::create_directories(folder_ / "blobs", error);
  if (error) throw_write(folder_ / "blobs", error);

  // In one order by everyone, so that two processes don't wait for each other.
  std::map<std::string, FileLock> locks;
  std::map<std::string, File*> wanted;
  for (File& file : files) wanted.emplace(file.etag, &file);
  for (const auto& [etag, file] : wanted) {
    locks.emplace(etag, FileLock(root_ / ".locks" / name_ / (etag + ".lock")));
  }
  std::vector<Download> downloads;
  for (const auto& [etag, file] : wanted) {
    file->download.base = file->download.target = folder_ / "blobs" / etag;
    if (!is_there(file->download.target)) downloads.push_back(file->download);
  }
  // Small files first: what they say is worth knowing early.
  std::stable_sort(downloads.begin(), downloads.end(),
                   [](const Download& a, const Download& b) { return a.size < b.size; });
  fetch_files(downloads, limits, label);
  for (const File& file : files) {
    if (!has(commit, file)) link(commit, file);
  }
}

}  // namespace tensormill
