#include "engine/stop_matcher.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tensormill {
namespace {

// What comes out piece by piece, then at the end.
std::vector<std::string> run(std::vector<std::string> stops, bool include,
                             const std::vector<std::string>& pieces, bool* stopped = nullptr) {
  StopMatcher matcher(std::move(stops), include);
  std::vector<std::string> out;
  for (const std::string& piece : pieces) out.push_back(matcher.push(piece));
  out.push_back(matcher.finish());
  if (stopped) *stopped = matcher.stopped();
  return out;
}
using Pieces = std::vector<std::string>;

TEST(StopMatcher, PassesEverythingWithoutStops) {
  EXPECT_EQ(run({}, true, {"a", "", "bc"}), (Pieces{"a", "", "bc", ""}));
  EXPECT_EQ(run({""}, false, {"a", "bc"}), (Pieces{"a", "bc", ""}));
}

TEST(StopMatcher, KeepsTheStopStringAcrossPieces) {
  bool stopped = false;
  EXPECT_EQ(run({"END"}, true, {"xE", "N", "Dyz", "more"}, &stopped),
            (Pieces{"xE", "N", "D", "", ""}));
  EXPECT_TRUE(stopped);
}

TEST(StopMatcher, CutsTheStopStringAndHoldsItsBeginningBack) {
  bool stopped = false;
  EXPECT_EQ(run({"END"}, false, {"xE", "N", "Dyz", "more"}, &stopped),
            (Pieces{"x", "", "", "", ""}));
  EXPECT_TRUE(stopped);
  // What only looked like it comes out later.
  EXPECT_EQ(run({"END"}, false, {"xE", "N", "EN", "!"}, &stopped),
            (Pieces{"x", "", "EN", "EN!", ""}));
  EXPECT_FALSE(stopped);
  EXPECT_EQ(run({"END"}, false, {"xE", "N"}, &stopped), (Pieces{"x", "", "EN"}));
}

TEST(StopMatcher, TheOneThatIsCompleteFirstCounts) {
  EXPECT_EQ(run({"bcd", "c"}, true, {"abcde"}), (Pieces{"abc", ""}));
  EXPECT_EQ(run({"bcd", "c"}, false, {"abcde"}), (Pieces{"ab", ""}));
  EXPECT_EQ(run({"cd", "bcd"}, false, {"abcde"}), (Pieces{"a", ""}));
  EXPECT_EQ(run({"\n\nUser:", "\n"}, false, {"hi\n"}), (Pieces{"hi", ""}));
}

TEST(StopMatcher, OverlappingBeginnings) {
  EXPECT_EQ(run({"aab"}, false, {"a", "a", "a", "b", "c"}), (Pieces{"", "", "a", "", "", ""}));
  EXPECT_EQ(run({"abab!"}, false, {"ababab", "!"}), (Pieces{"ab", "", ""}));
  EXPECT_EQ(run({"abab!"}, true, {"ababab", "!x"}), (Pieces{"ababab", "!", ""}));
}

// Any cutting of a text gives the same result.
TEST(StopMatcher, CuttingDoesNotMatter) {
  const std::string text =
      "one two two three one two\xE2\x82\xAC"
      "three four two three four.";
  for (const bool include : {true, false}) {
    for (const std::string& stop : {std::string("three f"), std::string("\xE2\x82\xAC"),
                                    std::string("two three four"), std::string("none")}) {
      const size_t at = text.find(stop);
      const std::string expected =
          at == std::string::npos ? text : text.substr(0, include ? at + stop.size() : at);
      for (size_t width = 1; width <= text.size(); ++width) {
        StopMatcher matcher({stop, "unheard of"}, include);
        std::string out;
        for (size_t i = 0; i < text.size(); i += width) out += matcher.push(text.substr(i, width));
        out += matcher.finish();
        ASSERT_EQ(out, expected) << stop << " by " << width;
      }
    }
  }
}

}  // namespace
}  // namespace tensormill
