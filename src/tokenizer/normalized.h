#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tensormill {

// Bytes [begin, end) of the text that was given to encode().
struct Span {
  uint32_t begin, end;
  bool operator==(const Span&) const = default;
};

// A code point of a transformed text and how it came about: 0 takes the place of the next old one,
// n > 0 was inserted (and stands where the one before it stands), -n takes the place of the next
// old one and n more behind it vanish.
struct Change {
  char32_t code_point;
  int change;
};

// A part of the text on its way through the normalizers. Where it tracks, each byte remembers the
// part of the original that it came from, which is what offsets are made of.
class Normalized {
 public:
  // `text` as it stands at byte `begin` of the original.
  Normalized(std::string_view text, uint32_t begin, bool track)
      : text_(text), begin_(begin), track_(track) {}
  Normalized(std::string_view text, std::vector<Span> spans, uint32_t begin)
      : text_(text), spans_(std::move(spans)), begin_(begin), track_(true) {}

  const std::string& text() const { return text_; }
  uint32_t begin() const { return begin_; }
  bool changed() const { return changed_; }
  // One a byte; empty where nothing is tracked or the bytes are still the original's own.
  const std::vector<Span>& spans() const { return spans_; }

  // Replaces the whole text; the first `skipped` old code points vanish without a successor.
  void transform(const std::vector<Change>& changes, size_t skipped = 0);
  // Puts `prefix` before a text that isn't empty.
  void prepend(std::string_view prefix);
  // Puts `content` in the place of each byte range (ascending, disjoint, on code point borders).
  void replace(const std::vector<std::pair<size_t, size_t>>& ranges, std::string_view content);
  // Keeps the code points for which keep() holds.
  template <class Keep>
  void filter(Keep&& keep);
  // Puts replacement(c) in the place of each code point.
  template <class Replacement>
  void map(Replacement&& replacement);

 private:
  void start_change();

  std::string text_;
  std::vector<Span> spans_;
  uint32_t begin_;
  bool track_;
  bool changed_ = false;
};

// The spans of valid UTF-8 that stands at byte `begin`: each byte belongs to its whole code point.
std::vector<Span> spans_of(std::string_view text, uint32_t begin);

std::u32string code_points_of(std::string_view text);

template <class Keep>
void Normalized::filter(Keep&& keep) {
  std::vector<Change> changes;
  size_t skipped = 0;
  for (const char32_t c : code_points_of(text_)) {
    if (keep(c)) {
      changes.push_back({c, 0});
    } else if (changes.empty()) {
      ++skipped;
    } else {
      --changes.back().change;
    }
  }
  const bool removes_inside = [&] {
    for (const Change& change : changes) {
      if (change.change != 0) return true;
    }
    return false;
  }();
  if (skipped > 0 || removes_inside) transform(changes, skipped);
}

template <class Replacement>
void Normalized::map(Replacement&& replacement) {
  std::vector<Change> changes;
  bool same = true;
  for (const char32_t c : code_points_of(text_)) {
    changes.push_back({replacement(c), 0});
    same = same && changes.back().code_point == c;
  }
  if (!same) transform(changes);
}

}  // namespace tensormill
