#include "tokenizer/encoding.h"

#include <algorithm>

#include "base/error.h"

namespace tensormill {
namespace {

// Calls f(vector of `a`, the same vector of `b`) for all that have an entry for each token.
template <class A, class B, class F>
void for_each_vector(A& a, B& b, F&& f) {
  f(a.ids, b.ids);
  f(a.type_ids, b.type_ids);
  f(a.tokens, b.tokens);
  f(a.offsets, b.offsets);
  f(a.words, b.words);
  f(a.sequences, b.sequences);
  f(a.special, b.special);
}

Encoding part_of(const Encoding& whole, int64_t begin, int64_t end) {
  Encoding part;
  for_each_vector(part, whole, [&](auto& to, const auto& from) {
    if (!from.empty()) to.assign(from.begin() + begin, from.begin() + end);
  });
  return part;
}

// Begin and end of each piece, the first that is kept first.
std::vector<std::pair<int64_t, int64_t>> piece_ranges(int64_t length, int64_t max, int64_t step,
                                                      bool from_left) {
  std::vector<std::pair<int64_t, int64_t>> ranges;
  for (int64_t done = 0;; done += step) {
    const int64_t end = std::min(done + max, length);
    ranges.emplace_back(done, end);
    if (end == length) break;
  }
  if (from_left) {
    for (auto& [begin, end] : ranges) {
      begin = length - begin;
      end = length - end;
      std::swap(begin, end);
    }
  }
  return ranges;
}

void truncate(Encoding& encoding, int64_t max, const Truncation& truncation) {
  const auto length = static_cast<int64_t>(encoding.ids.size());
  if (max >= length) return;
  if (max == 0) {
    Encoding nothing;
    nothing.overflowing.push_back(std::move(encoding));
    encoding = std::move(nothing);
    return;
  }
  if (truncation.stride >= max) {
    throw_error(ErrorKind::kBadRequest,
                "truncation: a stride of {} tokens, but there is room for {} of this text",
                truncation.stride, max);
  }
  const auto ranges = piece_ranges(length, max, max - truncation.stride, truncation.from_left);
  Encoding first = part_of(encoding, ranges[0].first, ranges[0].second);
  for (size_t i = 1; i < ranges.size(); ++i) {
    first.overflowing.push_back(part_of(encoding, ranges[i].first, ranges[i].second));
  }
  encoding = std::move(first);
}

// Tokens that are left of a pair: both halves, unless one is short.
std::pair<int64_t, int64_t> longest_first(int64_t first, int64_t second, int64_t max) {
  int64_t shorter = std::min(first, second);
  int64_t longer = shorter > max ? shorter : std::max(shorter, max - shorter);
  if (shorter + longer > max) {
    shorter = max / 2;
    longer = shorter + max % 2;
  }
  return first > second ? std::pair(longer, shorter) : std::pair(shorter, longer);
}

}  // namespace

void append_encoding(Encoding& encoding, Encoding next) {
  std::vector<Encoding> overflowing;
  const auto add = [&](const Encoding& left, const Encoding& right) {
    Encoding joined = part_of(left, 0, static_cast<int64_t>(left.ids.size()));
    append_encoding(joined, part_of(right, 0, static_cast<int64_t>(right.ids.size())));
    overflowing.push_back(std::move(joined));
  };
  for (const Encoding& mine : encoding.overflowing) {
    add(mine, next);
    for (const Encoding& other : next.overflowing) add(mine, other);
  }
  for (const Encoding& other : next.overflowing) add(encoding, other);
  for_each_vector(encoding, next, [](auto& to, auto& from) {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
  });
  encoding.overflowing = std::move(overflowing);
}

void truncate_encodings(std::vector<Encoding>& encodings, const Truncation& truncation) {
  const auto length = [&](size_t i) { return static_cast<int64_t>(encodings[i].ids.size()); };
  const bool pair = encodings.size() > 1;
  const int64_t max = truncation.max_length;
  const int64_t total = length(0) + (pair ? length(1) : 0);
  if (max > 0 && total <= max) return;
  if (max == 0) {
    for (Encoding& encoding : encodings) truncate(encoding, 0, truncation);
    return;
  }
  if (truncation.strategy == TruncationStrategy::kLongestFirst) {
    const auto [first, second] =
        pair ? longest_first(length(0), length(1), max) : std::pair(max, int64_t{0});
    truncate(encodings[0], first, truncation);
    if (pair) truncate(encodings[1], second, truncation);
    return;
  }
  const size_t target = truncation.strategy == TruncationStrategy::kOnlyFirst ? 0 : 1;
  if (target >= encodings.size()) {
    throw_error(ErrorKind::kBadRequest,
                "truncation: the strategy is only_second, but there is no second text");
  }
  if (length(target) <= total - max) {
    throw_error(ErrorKind::kBadRequest,
                "truncation: {} tokens are too many, but the {} text has only {} to cut off",
                total - max, target == 0 ? "first" : "second", length(target));
  }
  truncate(encodings[target], length(target) - (total - max), truncation);
}

}  // namespace tensormill
