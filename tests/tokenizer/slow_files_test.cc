#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "base/error.h"
#include "golden.h"
#include "tokenizer/decode_stream.h"
#include "tokenizer/tokenizer.h"

namespace tensormill {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::string joined(const std::vector<int32_t>& ids) {
  std::string text;
  for (const int32_t id : ids) text.append(std::to_string(id)).append(";");
  return text;
}

std::string streamed(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, bool skip) {
  DecodeStream stream(tokenizer, skip);
  std::string text;
  for (const int32_t id : ids) text += stream.step(id);
  return text + stream.finish();
}

// What make_slow.py hashed.
std::string digest(const Tokenizer& tokenizer, const std::string& text) {
  const std::vector<int32_t> ids = tokenizer.encode(text).ids;
  std::string all = joined(ids) + "\x1f" + joined(tokenizer.encode(text, false).ids);
  for (const bool skip : {false, true}) {
    const std::string decoded = tokenizer.decode(ids, skip);
    EXPECT_EQ(streamed(tokenizer, ids, skip), decoded);
    all.append("\x1f").append(decoded);
  }
  return fnv(all);
}

TEST(SlowFiles, MatchTheReference) {
  const Json golden = read_golden("slow.json");
  int cases = 0;
  for (const Json& entry : golden["tokenizers"]) {
    SCOPED_TRACE(entry["name"].get<std::string>());
    const TemporaryFolder folder;
    for (const auto& [name, key] : entry["files"].items()) {
      const Json& blob = golden["blobs"][key.get<std::string>()];
      folder.write(name, blob.is_string() ? blob.get<std::string>()
                                          : base64_decode(blob["base64"].get<std::string>()));
    }
    const auto tokenizer = load_tokenizer(folder.path());
    std::istringstream hashes(entry["hashes"].get<std::string>());
    for (const Json& index : entry["cases"]) {
      const auto text = golden["texts"][index.get<size_t>()].get<std::string>();
      std::string hash;
      hashes >> hash;
      EXPECT_EQ(digest(*tokenizer, text), hash) << Json(text).dump(-1, ' ', true);
      ++cases;
    }
  }
  EXPECT_GT(cases, 5000);
}

std::string error_of(const TemporaryFolder& folder) {
  try {
    (void)load_tokenizer(folder.path());
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// A separator is white space to Python's str, not to the regex library.
TEST(SlowFiles, WordsOfCtrlEndAtWhiteSpaceOfRegexes) {
  const TemporaryFolder folder;
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "CTRLTokenizer"})");
  folder.write("vocab.json", R"({"<unk>": 0, "a@@": 1, "\u001e@@": 2, "\n": 3, "a": 4})");
  folder.write("merges.txt", "#version: 0.2\nx y</w>\n");
  const auto tokenizer = load_tokenizer(folder.path());
  EXPECT_THAT(tokenizer->encode("a\x1e\n a").ids, ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(tokenizer->encode("a\n a").ids, ElementsAre(1, 3, 4));
}

TEST(SlowFiles, BrokenMergesNameTheLine) {
  const TemporaryFolder folder;
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "GPT2Tokenizer"})");
  folder.write("vocab.json", R"({"a": 0, "b": 1, "ab": 2})");
  folder.write("merges.txt", "#version: 0.2\na b\na b c\n");
  EXPECT_THAT(error_of(folder), AllOf(HasSubstr("merges.txt"), HasSubstr("line 3")));
}

TEST(SlowFiles, IdsMustDiffer) {
  const TemporaryFolder folder;
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "GPT2Tokenizer"})");
  folder.write("vocab.json", R"({"a": 0, "b": 1, "ab": 1})");
  folder.write("merges.txt", "#version: 0.2\na b\n");
  EXPECT_THAT(error_of(folder), AllOf(HasSubstr("vocab.json"), HasSubstr("\"ab\""),
                                      HasSubstr("\"b\""), HasSubstr("id 1")));
}

TEST(SlowFiles, NoSentencePieceModel) {
  const TemporaryFolder folder;
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "T5Tokenizer"})");
  folder.write("spiece.model", "this is no model");
  EXPECT_THAT(error_of(folder), AllOf(HasSubstr("spiece.model"), HasSubstr("no SentencePiece")));
  folder.write("spiece.model", std::string_view("\x0a\x20\x0a\x03<", 5));
  EXPECT_THAT(error_of(folder), AllOf(HasSubstr("spiece.model"), HasSubstr("over the end")));
}

TEST(SlowFiles, TiktokenLinesAreNamed) {
  const TemporaryFolder folder;
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "QWenTokenizer"})");
  folder.write("qwen.tiktoken", "YQ== 0\nYg== one\n");
  EXPECT_THAT(error_of(folder), AllOf(HasSubstr("qwen.tiktoken"), HasSubstr("line 2")));
}

TEST(SlowFiles, UnknownClassesAndDictionariesAreNamed) {
  const TemporaryFolder folder;
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "OtherTokenizer"})");
  folder.write("vocab.txt", "a\n");
  EXPECT_THAT(error_of(folder), HasSubstr("OtherTokenizer"));
  folder.write("tokenizer_config.json",
               R"({"tokenizer_class": "BertJapaneseTokenizer", "word_tokenizer_type": "mecab"})");
  EXPECT_THAT(error_of(folder), AllOf(HasSubstr("word_tokenizer_type"), HasSubstr("MeCab")));
}

}  // namespace
}  // namespace tensormill
