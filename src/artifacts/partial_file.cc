#include "artifacts/partial_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/error.h"
#include "base/json.h"

namespace fs = std::filesystem;

namespace tensormill {
namespace {

constexpr const char *kSuffix = ".incomplete", *kRangesSuffix = ".ranges.incomplete",
                     *kJournalSuffix = ".ranges.json";

fs::path with_suffix(const fs::path& base, const char* suffix) {
  return base.string() + suffix;
}

[[noreturn]] void throw_write(const fs::path& path, int error) {
  if (error == ENOSPC || error == EDQUOT) {
    throw_error(ErrorKind::kOutOfMemory,
                "{}: the disk is full; what has been downloaded is kept: make room, and the next "
                "try goes on from there",
                path.string());
  }
  throw_error(ErrorKind::kConfigInvalid, "{}: could not be written: {}", path.string(),
              std::strerror(error));
}

}  // namespace

PartialFile::PartialFile(fs::path base, int64_t size, int64_t piece_bytes, std::string tag)
    : base_(std::move(base)),
      size_(size),
      piece_bytes_(piece_bytes),
      tag_(std::move(tag)),
      ranged_(size > 2 * piece_bytes) {
  path_ = with_suffix(base_, ranged_ ? kRangesSuffix : kSuffix);
  journal_ = with_suffix(base_, kJournalSuffix);
  if (ranged_) {
    const bool known = fs::exists(path_) && read_journal();
    if (!known) adopt_sequential();
    split();
    open();
    save();
    return;
  }
  open();
  const off_t there = ::lseek(descriptor_, 0, SEEK_END);
  pieces_ = {{there, size_}};
  if (size_ >= 0 && there > size_) reset();
}

PartialFile::~PartialFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void PartialFile::open() {
  std::error_code ignored;
  fs::create_directories(path_.parent_path(), ignored);
  descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor_ < 0) throw_write(path_, errno);
}

// A sequential download that somebody began, this program or huggingface_hub, is the first part.
void PartialFile::adopt_sequential() {
  const fs::path sequential = with_suffix(base_, kSuffix);
  std::error_code error;
  fs::remove(path_, error);
  const auto there = fs::file_size(sequential, error);
  if (!error && static_cast<int64_t>(there) <= size_) {
    fs::rename(sequential, path_, error);
    if (!error) {
      pieces_ = {{static_cast<int64_t>(there), size_}};
      return;
    }
  }
  pieces_ = {{0, size_}};
}

// Cuts what is missing into pieces.
void PartialFile::split() {
  std::vector<Piece> cut;
  for (const Piece& piece : pieces_) {
    for (int64_t at = piece.begin; at < piece.end; at += piece_bytes_) {
      cut.push_back({at, std::min(piece.end, at + piece_bytes_)});
    }
  }
  pieces_ = std::move(cut);
}

bool PartialFile::read_journal() {
  try {
    const Json json = read_json_file(journal_);
    if (json.at("size").get<int64_t>() != size_ || json.at("tag").get<std::string>() != tag_) {
      return false;
    }
    pieces_.clear();
    int64_t last = 0;
    for (const Json& range : json.at("missing")) {
      const Piece piece{range.at(0).get<int64_t>(), range.at(1).get<int64_t>()};
      if (piece.begin < last || piece.end < piece.begin || piece.end > size_) return false;
      last = piece.end;
      pieces_.push_back(piece);
    }
    return true;
  } catch (const std::exception&) {
    return false;  // as good as none
  }
}

void PartialFile::save() const {
  if (!ranged_) return;
  OrderedJson missing = OrderedJson::array();
  {
    const std::lock_guard lock(mutex_);
    for (const Piece& piece : pieces_) {
      if (piece.begin < piece.end) missing.push_back({piece.begin, piece.end});
    }
  }
  const fs::path fresh = journal_.string() + ".new";
  std::ofstream stream(fresh, std::ios::binary);
  stream << OrderedJson{{"size", size_}, {"tag", tag_}, {"missing", missing}}.dump();
  stream.close();
  std::error_code ignored;  // an older journal says that more is missing: nothing is lost
  if (stream) fs::rename(fresh, journal_, ignored);
}

PartialFile::Piece PartialFile::missing(size_t piece) const {
  const std::lock_guard lock(mutex_);
  return pieces_[piece];
}

int64_t PartialFile::missing_bytes() const {
  const std::lock_guard lock(mutex_);
  int64_t bytes = 0;
  for (const Piece& piece : pieces_) bytes += std::max<int64_t>(0, piece.end - piece.begin);
  return bytes;
}

void PartialFile::append(size_t piece, std::span<const std::byte> bytes) {
  int64_t at = missing(piece).begin;
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(descriptor_, bytes.data(), bytes.size(), at);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) throw_write(path_, count < 0 ? errno : EIO);
    at += count;
    bytes = bytes.subspan(static_cast<size_t>(count));
    const std::lock_guard lock(mutex_);
    pieces_[piece].begin = at;
  }
}

void PartialFile::end_here(size_t piece) {
  const std::lock_guard lock(mutex_);
  pieces_[piece].end = size_ = pieces_[piece].begin;
}

void PartialFile::reset() {
  if (::ftruncate(descriptor_, 0) != 0) throw_write(path_, errno);
  {
    const std::lock_guard lock(mutex_);
    pieces_ = {{0, size_}};
    if (ranged_) split();
  }
  save();
}

void PartialFile::make_one_piece() {
  const bool ranged = std::exchange(ranged_, false);
  if (ranged) {
    std::error_code ignored;
    fs::remove(journal_, ignored);
    fs::rename(path_, with_suffix(base_, kSuffix), ignored);
    path_ = with_suffix(base_, kSuffix);
  }
  reset();
}

void PartialFile::move_to(const fs::path& target) {
  ::fdatasync(descriptor_);
  std::error_code error;
  fs::create_directories(target.parent_path(), error);
  fs::rename(path_, target, error);
  if (error) {
    throw_error(ErrorKind::kConfigInvalid, "{}: could not be moved to {}: {}", path_.string(),
                target.string(), error.message());
  }
  std::error_code ignored;
  fs::remove(journal_, ignored);
  fs::remove(with_suffix(base_, kSuffix), ignored);
}

void PartialFile::remove() {
  std::error_code ignored;
  fs::remove(path_, ignored);
  fs::remove(journal_, ignored);
}

}  // namespace tensormill
