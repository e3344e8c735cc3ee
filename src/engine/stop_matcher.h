#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tensormill {

// Watches a request's text, piece by piece, for its stop strings, which may lie across pieces. The
// one that is complete first counts (of several that end together, the one that begins first).
class StopMatcher {
 public:
  // include: the text keeps the stop string and ends with it; else it ends before it, and text that
  // may be the beginning of a stop string is held back. Empty stop strings are passed over.
  StopMatcher(std::vector<std::string> stops, bool include);

  bool active() const { return !stops_.empty(); }
  bool stopped() const { return stopped_; }
  // Takes text in, and gives out text that is certain to stay. After a match: nothing.
  std::string push(std::string piece);
  // The text ends here: gives out what was held back.
  std::string finish();

 private:
  struct Match {
    size_t begin = std::string::npos, end = std::string::npos;
  };
  Match first_match() const;
  size_t possible_beginning() const;

  std::vector<std::string> stops_;
  size_t longest_ = 0;
  bool include_;
  bool stopped_ = false;
  std::string tail_;  // text still needed: given out already up to given_, then held back
  size_t given_ = 0;
};

}  // namespace tensormill
