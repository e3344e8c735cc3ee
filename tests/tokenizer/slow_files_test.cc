#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

std::string bytes_of(const Json& blob) {
  if (blob.is_string()) return blob.get<std::string>();
  return blob.contains("json") ? blob["json"].dump()
                               : base64_decode(blob["base64"].get<std::string>());
}

TEST(SlowFiles, MatchTheReference) {
  constexpr size_t kHash = 4;  // characters of each; "----": the reference fails on the text
  const Json golden = read_golden("slow.json");
  int cases = 0;
  for (const Json& entry : golden["tokenizers"]) {
    SCOPED_TRACE(entry[0].get<std::string>());
    const TemporaryFolder folder;
    for (const auto& [name, index] : entry[2].items()) {
      folder.write(name, bytes_of(golden["blobs"][index.get<size_t>()]));
    }
    const auto tokenizer = load_tokenizer(folder.path());
    const auto hashes = golden["hashes"][entry[1].get<size_t>()].get<std::string>();
    for (size_t i = 0; i < golden["texts"].size(); ++i) {
      const std::string hash = hashes.substr(i * kHash, kHash);
      if (hash == "----") continue;
      const auto text = golden["texts"][i].get<std::string>();
      EXPECT_EQ(digest(*tokenizer, text).substr(0, kHash), hash) << Json(text).dump(-1, ' ', true);
      ++cases;
    }
  }
  EXPECT_GT(cases, 7000);
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

TEST(SlowFiles, RefusedClassesSayWhyEvenBesideATokenizerJson) {
  const TemporaryFolder folder;
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "CpmTokenizer"})");
  folder.write("tokenizer.json",
               R"({"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}})");
  EXPECT_THAT(error_of(folder), AllOf(HasSubstr("CpmTokenizer"), HasSubstr("spiece.model"),
                                      HasSubstr("jieba"), HasSubstr("PreTrainedTokenizerFast")));
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "PreTrainedTokenizerFast"})");
  EXPECT_EQ(error_of(folder), "no error");
}

TEST(SlowFiles, UnknownLanguagesAreNamed) {
  const TemporaryFolder folder;
  folder.write("tokenizer_config.json",
               R"({"tokenizer_class": "FSMTTokenizer", "langs": ["en", "pl"]})");
  EXPECT_THAT(error_of(folder), AllOf(HasSubstr("langs"), HasSubstr("\"pl\"")));
  folder.write("vocab.json", R"({"a": 0, "<|startoftranscript|>": 1})");
  folder.write("merges.txt", "#version: 0.2\n");
  folder.write("tokenizer_config.json",
               R"({"tokenizer_class": "WhisperTokenizer", "language": "klingon"})");
  EXPECT_THAT(error_of(folder), AllOf(HasSubstr("language"), HasSubstr("\"klingon\"")));
}

}  // namespace
}  // namespace tensormill
