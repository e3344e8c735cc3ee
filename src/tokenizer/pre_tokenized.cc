#include "tokenizer/pre_tokenized.h"

#include <algorithm>

#include "base/utf8.h"
#include "tokenizer/byte_alphabet.h"

namespace tensormill {

PreTokenized::PreTokenized(std::string_view original, bool track) : track_(track) {
  if (!original.empty()) pieces_.push_back({original, nullptr, 0, -1});
}

void PreTokenized::split(const Split& split) {
  if (byte_level_) materialize_bytes();
  next_.clear();
  for (const Piece& piece : pieces_) {
    if (piece.token >= 0) {
      next_.push_back(piece);
      continue;
    }
    const size_t before = next_.size();
    split(piece, next_);
    const auto empty = [](const Piece& p) { return p.text.empty(); };
    next_.erase(std::remove_if(next_.begin() + static_cast<ptrdiff_t>(before), next_.end(), empty),
                next_.end());
  }
  pieces_.swap(next_);
}

void PreTokenized::set_byte_level() {
  if (byte_level_) materialize_bytes();
  byte_level_ = true;
}

void PreTokenized::materialize_bytes() {
  byte_level_ = false;
  for (Piece& piece : pieces_) {
    if (piece.token >= 0) continue;
    std::string text;
    if (!track_) {
      for (const char byte : piece.text) text.append(byte_character(static_cast<uint8_t>(byte)));
      piece = keep(Normalized(text, piece.begin, false));
      continue;
    }
    const Normalized plain = open(piece);
    const std::vector<Span> spans =
        plain.spans().empty() ? spans_of(piece.text, piece.begin) : plain.spans();
    std::vector<Span> mapped;
    for (size_t i = 0; i < piece.text.size(); ++i) {
      text.append(byte_character(static_cast<uint8_t>(piece.text[i])));
      mapped.resize(text.size(), spans[i]);
    }
    piece = keep(Normalized(text, std::move(mapped), piece.begin));
  }
}

Normalized PreTokenized::open(const Piece& piece) const {
  if (piece.spans == nullptr) return Normalized(piece.text, piece.begin, track_);
  return Normalized(piece.text, std::vector<Span>(piece.spans, piece.spans + piece.text.size()),
                    piece.begin);
}

Piece PreTokenized::keep(Normalized&& text) {
  const Normalized& kept = kept_.emplace_back(std::move(text));
  return {kept.text(), kept.spans().empty() ? nullptr : kept.spans().data(), kept.begin(), -1};
}

Piece slice(const Piece& piece, size_t begin, size_t end) {
  const std::string_view text = piece.text.substr(begin, end - begin);
  if (piece.spans == nullptr) {
    return {text, nullptr, static_cast<uint32_t>(piece.begin + begin), -1};
  }
  return {text, piece.spans + begin, begin < end ? piece.spans[begin].begin : piece.begin, -1};
}

void segments_of(std::string_view text, const ByteRanges& matches, Segments& out) {
  out.clear();
  size_t done = 0;
  for (const auto& [begin, end] : matches) {
    if (begin > done) out.push_back({done, begin, false});
    out.push_back({begin, end, true});
    done = end;
  }
  if (done < text.size()) out.push_back({done, text.size(), false});
}

void segments_of(std::string_view text, bool (*test)(char32_t), Segments& out) {
  out.clear();
  size_t done = 0;
  for (size_t i = 0; i < text.size();) {
    const size_t begin = i;
    if (!test(next_code_point(text, i))) continue;
    if (begin > done) out.push_back({done, begin, false});
    out.push_back({begin, i, true});
    done = i;
  }
  if (done < text.size()) out.push_back({done, text.size(), false});
}

void split_piece(const Piece& piece, Segments& segments, SplitBehavior behavior,
                 std::vector<Piece>& out) {
  const auto add = [&](const Segment& s) { out.push_back(slice(piece, s.begin, s.end)); };
  // Joins a segment with the one before it where join(previous was a match, it is a match).
  const auto merge = [&](auto begin, auto end, auto join) {
    Segments merged;
    bool previous = false;
    for (auto it = begin; it != end; ++it) {
      if (!merged.empty() && join(previous, it->match)) {
        merged.back().begin = std::min(merged.back().begin, it->begin);
        merged.back().end = std::max(merged.back().end, it->end);
      } else {
        merged.push_back(*it);
      }
      previous = it->match;
    }
    return merged;
  };
  const auto first_of_matches = [](bool previous, bool match) { return match && !previous; };
  switch (behavior) {
    case SplitBehavior::kRemoved:
      for (const Segment& s : segments) {
        if (!s.match) add(s);
      }
      return;
    case SplitBehavior::kIsolated:
      break;
    case SplitBehavior::kContiguous:
      segments = merge(segments.begin(), segments.end(),
                       [](bool previous, bool match) { return previous == match; });
      break;
    case SplitBehavior::kMergedWithPrevious:
      segments = merge(segments.begin(), segments.end(), first_of_matches);
      break;
    case SplitBehavior::kMergedWithNext:
      segments = merge(segments.rbegin(), segments.rend(), first_of_matches);
      std::reverse(segments.begin(), segments.end());
      break;
  }
  for (const Segment& s : segments) add(s);
}

SplitBehavior split_behavior(const JsonNode& node) {
  const std::string name = node.text();
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  node.fail("expected Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

}  // namespace tensormill
