#include "tokenizer/models/double_array.h"

#include <algorithm>

#include "base/error.h"

namespace tensormill {
namespace {

constexpr size_t kMaxUnits = size_t{1} << 28;

}  // namespace

// Texts [begin, end) share their first `depth` bytes, which lead to `node`.
struct DoubleArray::Range {
  size_t begin, end, depth;
  Node node;
};

class DoubleArray::Builder {
 public:
  using Texts = std::vector<std::pair<std::string_view, int32_t>>;
  Builder(const Texts& texts, std::vector<Unit>& units) : texts_(texts), units_(units) {}

  void build() {
    used_.assign(1, true);
    todo_.push_back({0, texts_.size(), 0, kRoot});
    while (!todo_.empty()) {
      const Range range = todo_.back();
      todo_.pop_back();
      place(range);
    }
  }

 private:
  void place(Range range) {
    if (range.begin < range.end && texts_[range.begin].first.size() == range.depth) {
      unit(range.node).value = texts_[range.begin].second;
      ++range.begin;
    }
    children_.clear();
    for (size_t i = range.begin; i < range.end; ++i) {
      const auto byte = static_cast<uint8_t>(texts_[i].first[range.depth]);
      if (children_.empty() || children_.back().first != byte) children_.emplace_back(byte, i);
    }
    if (children_.empty()) return;
    const size_t base = find_base();
    unit(range.node).base = static_cast<int32_t>(base);
    for (size_t i = 0; i < children_.size(); ++i) {
      const auto [byte, first] = children_[i];
      const auto at = static_cast<Node>(base + byte);
      used_[static_cast<size_t>(at)] = true;
      unit(at).parent = range.node;
      const size_t last = i + 1 < children_.size() ? children_[i + 1].second : range.end;
      todo_.push_back({first, last, range.depth + 1, at});
    }
  }

  // A place where all children are free: among the first gaps, else behind everything.
  size_t find_base() {
    constexpr int kTries = 32;
    const size_t lowest = children_.front().first, highest = children_.back().first;
    while (first_gap_ < used_.size() && used_[first_gap_]) ++first_gap_;
    size_t gap = std::max(first_gap_, lowest + 1);
    for (int tries = 0; gap < used_.size() && tries < kTries; ++gap) {
      if (used_[gap]) continue;
      ++tries;
      const size_t base = gap - lowest;
      if (std::none_of(children_.begin(), children_.end(), [&](const auto& child) {
            return base + child.first < used_.size() && used_[base + child.first];
          })) {
        extend(base + highest + 1);
        return base;
      }
    }
    // Gaps that were tried in vain would be tried again and again.
    if (gap > first_gap_ + kTries * 4) first_gap_ = gap - kTries * 4;
    const size_t base = used_.size() - std::min(used_.size() - 1, lowest);
    extend(base + highest + 1);
    return base;
  }

  void extend(size_t size) {
    if (size <= used_.size()) return;
    if (size > kMaxUnits) {
      throw_error(ErrorKind::kArtifactInvalid, "a vocabulary of too much text to search in");
    }
    used_.resize(size, false);
    units_.resize(size);
  }
  Unit& unit(Node node) { return units_[static_cast<size_t>(node)]; }

  const Texts& texts_;
  std::vector<Unit>& units_;
  std::vector<bool> used_;
  std::vector<Range> todo_;
  std::vector<std::pair<uint8_t, size_t>> children_;  // of the node at hand: byte, first text
  size_t first_gap_ = 1;
};

DoubleArray::DoubleArray(std::vector<std::pair<std::string_view, int32_t>> texts) {
  std::erase_if(texts, [](const auto& text) { return text.first.empty(); });
  std::stable_sort(texts.begin(), texts.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::pair<std::string_view, int32_t>> unique;
  unique.reserve(texts.size());
  for (const auto& text : texts) {
    if (!unique.empty() && unique.back().first == text.first) unique.pop_back();
    unique.push_back(text);
  }
  Builder(unique, units_).build();
}

DoubleArray::Node DoubleArray::walk(Node node, std::string_view text) const {
  for (const char byte : text) {
    node = child(node, byte);
    if (node == kNone) break;
  }
  return node;
}

}  // namespace tensormill
