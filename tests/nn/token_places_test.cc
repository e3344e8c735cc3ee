#include "nn/token_places.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/error.h"

namespace tensormill {
namespace {

constexpr int32_t kStart = 90, kAny = 91, kFirst = 92;

BlankSpec blanks(bool by_kind) {
  BlankSpec spec;
  spec.start = kStart;
  spec.masks = {kFirst, kAny};
  spec.by_kind = by_kind;
  return spec;
}

std::string message(const std::vector<int32_t>& prompt) {
  try {
    find_places(blanks(false), prompt);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadRequest);
    return error.what();
  }
  return "";
}

TEST(TokenPlaces, AreTheSlotsOfModelsThatFillNoBlanks) {
  const TokenPlaces places = find_places({}, std::vector<int32_t>{1, 2, 3});
  EXPECT_EQ(places.position(0, 2), 2);
  EXPECT_EQ(places.position(1, 2), 0);
  EXPECT_EQ(places.prefix(), 0);
}

TEST(TokenPlaces, StandAtTheBlankAndCountFromTheStart) {
  const std::vector<int32_t> prompt{5, kAny, 6, kFirst, 7, kStart, 8, kStart};
  const TokenPlaces places = find_places(blanks(false), prompt);
  EXPECT_EQ(places.prefix(), 5);
  EXPECT_EQ(places.position(0, 4), 4);
  EXPECT_EQ(places.position(1, 4), 0);
  EXPECT_EQ(places.position(0, 5), 1);  // the first blank of any kind
  EXPECT_EQ(places.position(1, 5), 1);
  EXPECT_EQ(places.position(0, 20), 1);  // and so on while it writes
  EXPECT_EQ(places.position(1, 20), 16);
  EXPECT_EQ(find_places(blanks(true), prompt).blank, 3);  // the first of the first kind
  EXPECT_EQ(find_places(blanks(true), std::vector<int32_t>{5, kAny, kStart}).blank, 1);
}

TEST(TokenPlaces, PromptsWithoutBlankOrStartAreErrors) {
  EXPECT_THAT(message({5, kAny, 6}), testing::HasSubstr("the prompt lacks token 90"));
  EXPECT_THAT(message({5, 6, kStart, kAny}), testing::HasSubstr("one of the tokens 92, 91"));
}

}  // namespace
}  // namespace tensormill
