#pragma once

#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/normalized.h"
#include "tokenizer/regex.h"

namespace tensormill {

// A part of the text between splitting and the model.
struct Piece {
  std::string_view text;
  const Span* spans =
      nullptr;         // [text.size()] where each byte came from; null: `begin` + its place
  uint32_t begin = 0;  // where it starts in the original
  int32_t token = -1;  // the added token that it is; the model never sees it then
};

enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

struct Segment {
  size_t begin, end;
  bool match;
};
using Segments = std::vector<Segment>;  // ascending, without gaps

// The pieces of one text, in order; owns what normalizers made. The original must outlive it.
class PreTokenized {
 public:
  // Without `track` the spans and begins of changed pieces mean nothing.
  PreTokenized(std::string_view original, bool track);

  const std::vector<Piece>& pieces() const { return pieces_; }
  // Set by ByteLevel: texts hold plain bytes, each standing for its character of the byte alphabet.
  bool byte_level() const { return byte_level_; }
  void set_byte_level();

  // Replaces each piece that is no added token by what `split` adds; empty ones are dropped.
  using Split = std::function<void(const Piece&, std::vector<Piece>&)>;
  void split(const Split& split);

  // A copy to transform, and the piece that the result is; kept until the end.
  Normalized open(const Piece& piece) const;
  Piece keep(Normalized&& text);

 private:
  void materialize_bytes();

  std::vector<Piece> pieces_, next_;
  std::deque<Normalized> kept_;
  bool track_;
  bool byte_level_ = false;
};

// Part [begin, end) of a piece.
Piece slice(const Piece& piece, size_t begin, size_t end);

// Segments of `text` from the matches of a pattern, or from the code points for which `test` holds
// (each is a match of its own).
void segments_of(std::string_view text, const ByteRanges& matches, Segments& out);
void segments_of(std::string_view text, bool (*test)(char32_t), Segments& out);

// Cuts a piece as the reference's split(pattern, behavior) does. Changes `segments`.
void split_piece(const Piece& piece, Segments& segments, SplitBehavior behavior,
                 std::vector<Piece>& out);

SplitBehavior split_behavior(const JsonNode& node);

}  // namespace tensormill
