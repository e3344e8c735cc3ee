#include "tokenizer/gguf_vocabulary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"

namespace tensormill {
namespace {

GgufVocabulary bytes_bpe() {
  GgufVocabulary v;
  v.origin = "m.gguf";
  v.model = "gpt2";
  v.pre = "smollm";
  v.tokens = {"<|end|>", "h", "i", "hi", "<tool>"};
  v.types = {3, 1, 1, 1, 4};
  v.merges = {"h i"};
  v.bos = v.eos = 0;
  return v;
}

GgufVocabulary sentencepiece() {
  GgufVocabulary v;
  v.origin = "m.gguf";
  v.model = "llama";
  v.tokens = {"<unk>", "<s>", "</s>", "a", "b", "ab", "aba", "ba", "\u2581"};
  v.scores = {0, 0, 0, -4, -5, -1, -3, -2, -6};
  v.types = {2, 3, 3, 1, 1, 1, 1, 1, 1};
  v.unknown = 0;
  v.bos = 1;
  v.eos = 2;
  return v;
}

void expect_error(const GgufVocabulary& v, ErrorKind kind, std::string_view part) {
  try {
    gguf_tokenizer(v);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("m.gguf"),
                                             testing::HasSubstr(std::string(part))));
  }
}

TEST(GgufVocabulary, ByteLevelHasThePublishedPreTokenizer) {
  const OrderedJson json = gguf_tokenizer(bytes_bpe());
  EXPECT_EQ(json["pre_tokenizer"]["pretokenizers"][0]["type"], "Digits");
  EXPECT_EQ(json["pre_tokenizer"]["pretokenizers"][1]["type"], "ByteLevel");
  EXPECT_EQ(json["model"]["vocab"]["hi"], 3);
  EXPECT_EQ(json["model"]["merges"], OrderedJson::parse(R"([["h","i"]])"));
  ASSERT_EQ(json["added_tokens"].size(), 2U);
  EXPECT_EQ(json["added_tokens"][0]["special"], true);
  EXPECT_EQ(json["added_tokens"][1]["content"], "<tool>");
  EXPECT_EQ(json["added_tokens"][1]["special"], false);
  EXPECT_TRUE(json["post_processor"].is_null());

  GgufVocabulary v = bytes_bpe();
  v.pre = "llama-bpe";  // puts the first token in front of a text, unless the file says no
  const OrderedJson llama3 = gguf_tokenizer(v);
  EXPECT_EQ(llama3["model"]["ignore_merges"], true);
  EXPECT_EQ(llama3["post_processor"]["single"][0]["SpecialToken"]["id"], "<|end|>");
  v.add_bos = false;
  EXPECT_TRUE(gguf_tokenizer(v)["post_processor"].is_null());
  v.pre = "qwen2";
  EXPECT_EQ(gguf_tokenizer(v)["normalizer"]["type"], "NFC");
  v.pre = "";
  EXPECT_EQ(gguf_tokenizer(v)["pre_tokenizer"]["type"], "ByteLevel");
}

TEST(GgufVocabulary, SentencePieceGetsItsMergesFromTheScores) {
  const OrderedJson json = gguf_tokenizer(sentencepiece());
  // ab (-1), ba (-2), aba (-3) first by the lower left part: a+ba, then ab+a
  EXPECT_EQ(json["model"]["merges"],
            OrderedJson::parse(R"([["a","b"],["b","a"],["a","ba"],["ab","a"]])"));
  EXPECT_EQ(json["model"]["byte_fallback"], true);
  EXPECT_EQ(json["model"]["unk_token"], "<unk>");
  EXPECT_EQ(json["normalizer"]["normalizers"][0]["type"], "Prepend");
  EXPECT_EQ(json["decoder"]["decoders"].size(), 4U);
  EXPECT_EQ(json["post_processor"]["single"][0]["SpecialToken"]["id"], "<s>");
  EXPECT_EQ(json["post_processor"]["pair"].size(), 4U);

  GgufVocabulary v = sentencepiece();
  v.add_space_prefix = false;
  v.add_eos = true;
  const OrderedJson other = gguf_tokenizer(v);
  EXPECT_EQ(other["normalizer"]["normalizers"].size(), 1U);
  EXPECT_EQ(other["decoder"]["decoders"].size(), 3U);
  EXPECT_EQ(other["post_processor"]["single"][2]["SpecialToken"]["id"], "</s>");
}

TEST(GgufVocabulary, ConfigNamesTheSpecialTokens) {
  GgufVocabulary v = sentencepiece();
  v.chat_template = "{{ x }}";
  const OrderedJson json = gguf_tokenizer_config(v);
  EXPECT_EQ(json["tokenizer_class"], "LlamaTokenizer");
  EXPECT_EQ(json["bos_token"], "<s>");
  EXPECT_EQ(json["unk_token"], "<unk>");
  EXPECT_FALSE(json.contains("pad_token"));
  EXPECT_EQ(json["chat_template"], "{{ x }}");
}

TEST(GgufVocabulary, RefusesWhatItDoesNotKnow) {
  GgufVocabulary v = bytes_bpe();
  v.pre = "strange";
  expect_error(v, ErrorKind::kUnsupported, "\"strange\" is not supported; expected default");
  v = bytes_bpe();
  v.model = "t5";
  expect_error(v, ErrorKind::kUnsupported, "expected gpt2 or llama");
  v = bytes_bpe();
  v.merges = {"hi"};
  expect_error(v, ErrorKind::kArtifactInvalid, "\"hi\", expected two pieces");
  v.merges = {};
  expect_error(v, ErrorKind::kArtifactInvalid, "ggml.merges");
  v = bytes_bpe();
  v.types = {1};
  expect_error(v, ErrorKind::kArtifactInvalid, "one for each of the 5 tokens");
  v = sentencepiece();
  v.scores = {};
  expect_error(v, ErrorKind::kArtifactInvalid, "ggml.scores");
  v = sentencepiece();
  v.bos = 99;
  expect_error(v, ErrorKind::kArtifactInvalid, "bos_token_id\": 99, expected an id below 9");
  v.tokens = {};
  expect_error(v, ErrorKind::kArtifactInvalid, "ggml.tokens");
}

}  // namespace
}  // namespace tensormill
