#include "tokenizer/normalized.h"

#include <algorithm>

#include "base/utf8.h"

namespace tensormill {

std::vector<Span> spans_of(std::string_view text, uint32_t begin) {
  std::vector<Span> spans;
  spans.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const size_t length = utf8_length(text[i]);
    const auto at = static_cast<uint32_t>(begin + i);
    spans.insert(spans.end(), length, Span{at, static_cast<uint32_t>(at + length)});
    i += length;
  }
  return spans;
}

std::u32string code_points_of(std::string_view text) {
  std::u32string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size();) result.push_back(next_code_point(text, i));
  return result;
}

void Normalized::start_change() {
  if (track_ && spans_.empty()) spans_ = spans_of(text_, begin_);
  changed_ = true;
}

void Normalized::transform(const std::vector<Change>& changes, size_t skipped) {
  start_change();
  std::string text;
  text.reserve(text_.size());
  if (!track_) {
    for (const Change& change : changes) append_utf8(text, change.code_point);
    text_ = std::move(text);
    return;
  }
  const auto skip = [this](size_t& position, size_t code_points) {
    for (; code_points > 0 && position < text_.size(); --code_points) {
      position += utf8_length(text_[position]);
    }
  };
  std::vector<Span> spans;
  spans.reserve(spans_.size());
  size_t old = 0;  // the next byte of the old text
  skip(old, skipped);
  for (const Change& change : changes) {
    Span span{begin_, begin_};
    if (change.change > 0) {
      if (old > 0) span = spans_[old - 1];
    } else {
      if (old < spans_.size()) span = spans_[old];
      skip(old, 1 + static_cast<size_t>(-change.change));
    }
    append_utf8(text, change.code_point);
    spans.resize(text.size(), span);
  }
  text_ = std::move(text);
  spans_ = std::move(spans);
}

void Normalized::prepend(std::string_view prefix) {
  if (text_.empty() || prefix.empty()) return;
  start_change();
  if (track_) spans_.insert(spans_.begin(), prefix.size(), Span(spans_.front()));
  text_.insert(0, prefix);
}

void Normalized::replace(const std::vector<std::pair<size_t, size_t>>& ranges,
                         std::string_view content) {
  if (ranges.empty()) return;
  start_change();
  std::string text;
  std::vector<Span> spans;
  text.reserve(text_.size() + ranges.size() * content.size());
  if (track_) spans.reserve(text.capacity());
  const auto keep = [&](size_t begin, size_t end) {
    text.append(text_, begin, end - begin);
    if (!track_) return;
    spans.insert(spans.end(), spans_.begin() + static_cast<ptrdiff_t>(begin),
                 spans_.begin() + static_cast<ptrdiff_t>(end));
  };
  size_t kept = 0;
  for (const auto& [begin, end] : ranges) {
    keep(kept, begin);
    text.append(content);
    if (track_) spans.resize(text.size(), end > 0 ? spans_[end - 1] : Span{begin_, begin_});
    kept = end;
  }
  keep(kept, text_.size());
  text_ = std::move(text);
  spans_ = std::move(spans);
}

}  // namespace tensormill
