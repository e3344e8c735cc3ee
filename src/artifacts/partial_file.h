#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace tensormill {

// A file that comes in pieces, in any order and over several runs of the program. At any moment the
// program may be killed: what it says is there, is there.
//
// A file of one piece is BASE.incomplete, whose size says how much is there; huggingface_hub leaves
// and takes up the same file. One of several pieces is BASE.ranges.incomplete, and
// BASE.ranges.json says what is missing.
class PartialFile {
 public:
  struct Piece {
    int64_t begin, end;  // end -1: unknown
  };

  // Takes up what an earlier run left. `size` -1: unknown, so one piece; `tag`: of the content, so
  // that what was left of another content is dropped. Errors: kConfigInvalid where it can't write.
  PartialFile(std::filesystem::path base, int64_t size, int64_t piece_bytes, std::string tag);
  ~PartialFile();
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  size_t pieces() const { return pieces_.size(); }
  Piece missing(size_t piece) const;  // the rest of one; begin == end: nothing
  int64_t missing_bytes() const;      // 0 where the size is unknown
  int64_t size() const { return size_; }

  // Adds to the beginning of what is missing of a piece. Thread-safe, one thread for each piece.
  // Errors: kOutOfMemory for a full disk, kInternal.
  void append(size_t piece, std::span<const std::byte> bytes);
  void end_here(size_t piece);  // the piece of unknown size
  void save() const;            // what is missing, for the next run; thread-safe
  void reset();                 // everything is missing again
  void make_one_piece();        // and the whole file is one piece

  // Moves the file to its place, flushed. Errors: kInternal.
  void move_to(const std::filesystem::path& target);
  void remove();
  const std::filesystem::path& path() const { return path_; }

 private:
  void open();
  void split();
  bool read_journal();
  void adopt_sequential();

  std::filesystem::path base_, path_, journal_;
  int64_t size_, piece_bytes_;
  std::string tag_;
  bool ranged_;
  int descriptor_ = -1;
  std::vector<Piece> pieces_;
  mutable std::mutex mutex_;  // of pieces_
};

}  // namespace tensormill
