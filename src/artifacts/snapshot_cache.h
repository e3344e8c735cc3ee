#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "artifacts/download.h"

namespace tensormill {

// One repository in a cache laid out as huggingface_hub does it: ROOT/NAME/blobs/ETAG holds
// contents, ROOT/NAME/snapshots/COMMIT/PATH are relative links to them, ROOT/NAME/refs/REVISION
// says the commit of a branch or tag, ROOT/.locks/NAME/ETAG.lock is held while a blob is written.
class SnapshotCache {
 public:
  // A file of a snapshot and where its content comes from.
  struct File {
    std::string path;   // relative, with slashes
    std::string etag;   // names the blob
    Download download;  // base and target are filled in here
  };

  SnapshotCache(std::filesystem::path root, std::string name);

  std::filesystem::path snapshot(const std::string& commit) const;
  // The snapshot that a revision stands for as far as this machine knows: a commit itself, or by
  // refs. None where there is none.
  std::optional<std::string> commit_of(const std::string& revision) const;
  std::optional<std::filesystem::path> find(const std::string& revision) const;

  // Fetches what isn't there and links everything. Errors: those of fetch_files and FileLock;
  // kArtifactInvalid for a path that leads out of the snapshot.
  void fetch(const std::string& commit, std::vector<File> files, const TransferLimits& limits,
             const std::string& label) const;
  void set_ref(const std::string& revision, const std::string& commit) const;

  const std::filesystem::path& folder() const { return folder_; }

 private:
  bool has(const std::string& commit, const File& file) const;
  void link(const std::string& commit, const File& file) const;

  std::filesystem::path root_, folder_;
  std::string name_;
};

// A relative path without "..", empty parts, backslashes or control characters.
bool is_safe_path(std::string_view path);
// 40 hexadecimal digits.
bool is_commit(std::string_view revision);

}  // namespace tensormill
