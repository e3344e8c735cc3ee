#include "config/properties.h"

#include "fixture.h"

namespace tensormill {
namespace {

using Entries = std::vector<std::pair<std::string, std::string>>;

Entries parse(const std::string& text) {
  Entries entries;
  for (const Property& property : parse_properties(text, "f")) {
    entries.emplace_back(property.key, property.value);
  }
  return entries;
}

TEST(Properties, SeparatorsAreEqualsColonOrBlanks) {
  const Entries expected = {{"k", "v w"}};
  for (const char* text :
       {"k=v w", "k:v w", "k v w", "k = v w", "k \t:\fv w", "  k\tv w", "\n\r\n \n k = v w \t\n"}) {
    EXPECT_EQ(parse(text), expected) << text;
  }
  EXPECT_EQ(parse("k==v"), (Entries{{"k", "=v"}}));
  EXPECT_EQ(parse("k=:v"), (Entries{{"k", ":v"}}));
  EXPECT_EQ(parse("url=file:/a=b"), (Entries{{"url", "file:/a=b"}}));
  EXPECT_EQ(parse("k"), (Entries{{"k", ""}}));
  EXPECT_EQ(parse("k="), (Entries{{"k", ""}}));
  EXPECT_EQ(parse("=v"), (Entries{{"", "v"}}));
}

TEST(Properties, CommentsNeedTheFirstPlace) {
  EXPECT_EQ(parse("# a=b\n  ! c=d\\\ne=f # g"), (Entries{{"e", "f # g"}}));
}

TEST(Properties, ABackslashContinuesTheLine) {
  EXPECT_EQ(parse("list=a,\\\n     b,\\\r\n\tc\nn=1"), (Entries{{"list", "a,b,c"}, {"n", "1"}}));
  EXPECT_EQ(parse("k\\\n  ey=v"), (Entries{{"key", "v"}}));
  EXPECT_EQ(parse("k \\\n = v"), (Entries{{"k", "v"}}));
  EXPECT_EQ(parse("k=a\\\\\nb=c"), (Entries{{"k", "a\\"}, {"b", "c"}}));
  EXPECT_EQ(parse("k=v\\"), (Entries{{"k", "v"}}));
}

TEST(Properties, Escapes) {
  EXPECT_EQ(parse(R"(k\=\:\ x=\t\n\r\f\q\\)"), (Entries{{"k=: x", "\t\n\r\fq\\"}}));
  EXPECT_EQ(parse(R"(k=\u0041\u00e9\u20AC)"), (Entries{{"k", "A\u00e9\u20ac"}}));
  EXPECT_EQ(parse(R"(k=\ud83d\ude00)"), (Entries{{"k", "\U0001F600"}}));
  EXPECT_EQ(parse(R"(k=\ud83dx)"), (Entries{{"k", "\uFFFDx"}}));
}

TEST(Properties, BlanksAtTheEndAreCutUnlessEscaped) {
  EXPECT_EQ(parse("n=4  \t\nm=5"), (Entries{{"n", "4"}, {"m", "5"}}));
  EXPECT_EQ(parse("n=4\\  \n"), (Entries{{"n", "4 "}}));
}

TEST(Properties, Utf8OrLatin1) {
  EXPECT_EQ(parse("k=\xC3\xA9"), (Entries{{"k", "\xC3\xA9"}}));
  EXPECT_EQ(parse("k=\xE9"), (Entries{{"k", "\xC3\xA9"}}));
  EXPECT_EQ(parse("\xEF\xBB\xBFk=v"), (Entries{{"k", "v"}}));
}

TEST(Properties, RemembersLines) {
  const auto entries = parse_properties("a=1\n# x\n\nb=2,\\\n 3\r\nc=4\rd=5", "f");
  ASSERT_EQ(entries.size(), 4u);
  EXPECT_EQ(entries[0].line, 1);
  EXPECT_EQ(entries[1].line, 4);
  EXPECT_EQ(entries[2].line, 6);
  EXPECT_EQ(entries[3].line, 7);
}

TEST(Properties, NamesFileAndLineOfAnError) {
  for (const char* text : {"a=b\nk=\\u12G4", "a=b\nk=\\u12", "\nk\\u=1", "\nk=\\u0000"}) {
    const Failure failure = failure_of([&] { parse_properties(text, "x.properties"); });
    EXPECT_THAT(failure.message, testing::StartsWith("x.properties:2: \\u")) << text;
    EXPECT_EQ(failure.kind, ErrorKind::kConfigInvalid);
  }
  EXPECT_THAT(failure_of([] { parse_properties(std::string("a\0b", 3), "x"); }).message,
              testing::HasSubstr("NUL"));
}

TEST(Properties, RefusesWhatCantBeOne) {
  const Folder folder;
  folder.write("big", std::string((1 << 20) + 1, 'a'));
  EXPECT_THAT(failure_of([&] { read_properties(folder / "big"); }).message,
              testing::HasSubstr("1 MiB"));
  EXPECT_THAT(failure_of([&] { read_properties(folder.str()); }).message,
              testing::HasSubstr("is a folder"));
  EXPECT_THAT(failure_of([&] { read_properties(folder / "none"); }).message,
              testing::HasSubstr("none: can't be read"));
}

}  // namespace
}  // namespace tensormill
