#include "engine/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace tensormill {

StopMatcher::StopMatcher(std::vector<std::string> stops, bool include)
    : stops_(std::move(stops)), include_(include) {
  std::erase(stops_, std::string());
  for (const std::string& stop : stops_) longest_ = std::max(longest_, stop.size());
}

std::string StopMatcher::push(std::string piece) {
  if (stopped_) return {};
  if (!active() || piece.empty()) return piece;
  tail_ += piece;
  const Match match = first_match();
  stopped_ = match.end != std::string::npos;
  size_t keep = tail_.size();  // where the text that may be given out ends
  if (stopped_) {
    keep = include_ ? match.end : match.begin;
  } else if (!include_) {
    keep = possible_beginning();
  }
  std::string out = keep > given_ ? tail_.substr(given_, keep - given_) : std::string();
  given_ = std::max(given_, keep);
  // A later match can't begin before its longest stop string less one byte.
  if (const size_t useful = longest_ - 1; tail_.size() > useful) {
    const size_t drop = std::min(given_, tail_.size() - useful);
    tail_.erase(0, drop);
    given_ -= drop;
  }
  return out;
}

std::string StopMatcher::finish() {
  if (stopped_ || given_ >= tail_.size()) return {};
  std::string rest = tail_.substr(given_);
  given_ = tail_.size();
  return rest;
}

StopMatcher::Match StopMatcher::first_match() const {
  Match best;
  for (const std::string& stop : stops_) {
    const size_t begin = tail_.find(stop);
    if (begin == std::string::npos) continue;
    const size_t end = begin + stop.size();
    if (end < best.end || (end == best.end && begin < best.begin)) best = {begin, end};
  }
  return best;
}

// Where the longest end of the text begins that a stop string begins with.
size_t StopMatcher::possible_beginning() const {
  const std::string_view tail = tail_;
  size_t begin = tail.size() - std::min(tail.size(), longest_ - 1);
  for (; begin < tail.size(); ++begin) {
    const std::string_view end = tail.substr(begin);
    const bool may = std::any_of(stops_.begin(), stops_.end(),
                                 [end](std::string_view stop) { return stop.starts_with(end); });
    if (may) break;
  }
  return begin;
}

}  // namespace tensormill
