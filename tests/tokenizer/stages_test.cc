#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/utf8.h"
#include "golden.h"
#include "tokenizer/clean_up.h"
#include "tokenizer/decode_stream.h"
#include "tokenizer/regex.h"
#include "tokenizer/sentencepiece_model.h"
#include "tokenizer/tokenizer.h"

namespace tensormill {
namespace {

using testing::HasSubstr;

template <class F>
std::string message_of(ErrorKind kind, F&& f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.kind()), static_cast<int>(kind)) << error.what();
    return error.what();
  }
  return "no error";
}

std::unique_ptr<Tokenizer> load_json(const std::string& json, const std::string& config = "{}") {
  const TemporaryFolder folder;
  folder.write("tokenizer.json", json);
  folder.write("tokenizer_config.json", config);
  return load_tokenizer(folder.path());
}

// A byte-level vocabulary: the alphabet in order, then runs of "a" up to `runs` doublings.
Json byte_level_json(int runs = 0) {
  Json vocab = Json::object(), merges = Json::array();
  for (int byte = 0, extra = 256; byte < 256; ++byte) {
    const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte != 0xad);
    std::string text;
    append_utf8(text, static_cast<char32_t>(printable ? byte : extra++));
    vocab[text] = byte;
  }
  std::string run = "a";
  for (int i = 0; i < runs; ++i) {
    merges.push_back(run + " " + run);
    run += run;
    vocab[run] = 256 + i;
  }
  return {
      {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", merges}}},
      {"pre_tokenizer",
       {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}}},
      {"decoder", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}}}};
}

TEST(Utf8, FindsTheFirstMalformedByte) {
  EXPECT_EQ(find_invalid_utf8("plain, \xc3\xa9 \xe4\xb8\xad \xf0\x9f\x98\x80"), std::string::npos);
  EXPECT_EQ(find_invalid_utf8("0123456789\xff"), 10u);
  EXPECT_EQ(find_invalid_utf8("ab\xc0\x80"), 2u);        // overlong
  EXPECT_EQ(find_invalid_utf8("a\xed\xa0\x80"), 1u);     // surrogate
  EXPECT_EQ(find_invalid_utf8("\xf4\x90\x80\x80"), 0u);  // over U+10FFFF
  EXPECT_EQ(find_invalid_utf8("abc\xe4\xb8"), 3u);       // cut
  EXPECT_EQ(find_invalid_utf8("\x80"), 0u);
}

TEST(Utf8, ReplacesEachMaximalMalformedPartOnce) {
  EXPECT_EQ(replace_invalid_utf8("a\xe4\xb8z"), "a\ufffdz");
  EXPECT_EQ(replace_invalid_utf8("\xf0\x9f\x98"), "\ufffd");
  EXPECT_EQ(replace_invalid_utf8("\xe0\x80\x80"), "\ufffd\ufffd\ufffd");
  EXPECT_EQ(replace_invalid_utf8("\xff\xfe"), "\ufffd\ufffd");
}

TEST(Utf8, TellsAnIncompleteTail) {
  EXPECT_EQ(incomplete_utf8_tail("a\xf0\x9f\x98"), 3u);
  EXPECT_EQ(incomplete_utf8_tail("a\xe4"), 1u);
  EXPECT_EQ(incomplete_utf8_tail("a\xe0\x80"), 0u);
  EXPECT_EQ(incomplete_utf8_tail("\xc3\xa9"), 0u);
  EXPECT_EQ(incomplete_utf8_tail(""), 0u);
}

TEST(Encode, RejectsInvalidUtf8ByOffset) {
  const auto tokenizer = load_json(byte_level_json().dump());
  const std::string message =
      message_of(ErrorKind::kBadRequest, [&] { tokenizer->encode("caf\xe9 au lait"); });
  EXPECT_THAT(message, HasSubstr("byte 3"));
}

TEST(Encode, LongRunsTakeNoQuadraticTime) {
  const auto tokenizer = load_json(byte_level_json(10).dump());
  const auto start = std::chrono::steady_clock::now();
  const size_t tokens = tokenizer->encode(std::string(1 << 20, 'a')).ids.size();
  EXPECT_EQ(tokens, (1u << 20) / 1024);
  for (const char* unit : {" ", "\n", "!", "7", "\u4e2d", "\u00e9"}) {
    std::string text;
    for (int i = 0; i < 100000; ++i) text += unit;
    EXPECT_FALSE(tokenizer->encode(text).ids.empty());
  }
  // Quadratic merging of the first run alone would take hours.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
}

TEST(Encode, MergesOfLongAndShortWordsAgree) {
  const auto tokenizer = load_json(byte_level_json(4).dump());
  // "a" * n as doublings from the left: greedy by rank.
  for (int n = 1; n < 120; ++n) {
    const std::vector<int32_t> ids =
        tokenizer->encode(std::string(static_cast<size_t>(n), 'a')).ids;
    std::vector<int32_t> expected(static_cast<size_t>(n / 16), 256 + 3);
    for (int bit = 3; bit >= 0; --bit) {
      if (n % 16 & (1 << bit)) expected.push_back(bit == 0 ? 'a' : 255 + bit);
    }
    EXPECT_EQ(ids, expected) << n;
  }
}

TEST(Encode, IsTheSameFromManyThreads) {
  const auto tokenizer = load_json(byte_level_json(3).dump());
  const std::string text = "aaaaaaa bb aaaa cc aaaaaaaaaaaa";
  const Encoding expected = tokenizer->encode({.text = text, .details = true});
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 200; ++round) {
        const Encoding encoding = tokenizer->encode({.text = text, .details = true});
        wrong += encoding.ids != expected.ids || encoding.offsets != expected.offsets;
        wrong += tokenizer->decode(encoding.ids) != text;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Decode, RefusesIdsOutOfRange) {
  const auto tokenizer = load_json(byte_level_json().dump());
  for (const int32_t id : {-1, 256, INT32_MAX, INT32_MIN}) {
    const std::vector<int32_t> ids = {'a', id};
    EXPECT_THAT(message_of(ErrorKind::kBadRequest, [&] { (void)tokenizer->decode(ids); }),
                HasSubstr("token id " + std::to_string(id)));
    DecodeStream stream(*tokenizer);
    EXPECT_EQ(stream.step(id), "");
  }
}

TEST(Decode, StreamWaitsForWholeCodePoints) {
  const auto tokenizer = load_json(byte_level_json().dump());
  DecodeStream stream(*tokenizer);
  EXPECT_EQ(stream.step(0xf0), "");
  EXPECT_EQ(stream.step(0x9f), "");
  EXPECT_EQ(stream.step(0x98), "");
  EXPECT_EQ(stream.step(0x80), "\xf0\x9f\x98\x80");
  EXPECT_EQ(stream.step(0xe4), "");
  EXPECT_EQ(stream.step('a'),
            "\ufffd"
            "a");
  EXPECT_EQ(stream.step(0xc3), "");
  EXPECT_EQ(stream.finish(), "\ufffd");
}

TEST(CleanUp, BorderNeverChangesTheText) {
  const std::string letters = " .'ntsa,ve ";
  uint32_t random = 1;
  for (int round = 0; round < 3000; ++round) {
    std::string text, held, streamed;
    for (int i = 0; i < 24; ++i) {
      random = random * 1664525 + 1013904223;
      const char c = letters[(random >> 16) % letters.size()];
      text.push_back(c);
      held.push_back(c);
      const size_t border = clean_up_border(held);
      streamed += clean_up_spaces(held.substr(0, border));
      held.erase(0, border);
    }
    EXPECT_EQ(streamed + clean_up_spaces(held), clean_up_spaces(text)) << text;
  }
}

TEST(ByteTokenizer, RoundTrips) {
  const auto tokenizer = byte_tokenizer(1000);
  const std::string text = "na\xc3\xafve \xf0\x9f\x98\x80";
  const Encoding encoding = tokenizer->encode({.text = text, .details = true});
  EXPECT_EQ(encoding.ids.size(), text.size());
  EXPECT_EQ(encoding.offsets.back(), (std::pair<int32_t, int32_t>(6, 7)));
  EXPECT_EQ(tokenizer->decode(encoding.ids), text);
  EXPECT_EQ(tokenizer->decode(std::vector<int32_t>{'a', 999, 'b'}), "ab");
  EXPECT_EQ(tokenizer->vocabulary_size(), 1000);
}

TEST(RegexTest, BacktrackingEndsInAnError) {
  const Regex regex("(a+a+)+b", "pattern");
  ByteRanges matches;
  EXPECT_THAT(message_of(ErrorKind::kBadRequest,
                         [&] { regex.find_all(std::string(60, 'a') + "cb", matches); }),
              HasSubstr("(a+a+)+b"));
}

TEST(RegexTest, EscapesMeanWhatTheReferenceMeans) {
  const auto count = [](const char* pattern, std::string_view text) {
    ByteRanges matches;
    Regex(pattern, "pattern").find_all(text, matches);
    return matches.size();
  };
  EXPECT_EQ(count("\\s", "\u180e \u0085\u00a0\u3000\u200b"), 4u);
  EXPECT_EQ(count("[\\S]", "\u180e \u0085\u00a0\u3000\u200b"), 2u);
  EXPECT_EQ(count("\\w", "a\u0301\u203f\u2160-"), 4u);
  EXPECT_EQ(count("(?i:'s|'ll)", "'S 'ſ 'Ll 'x"), 3u);
  EXPECT_EQ(count("^a$", "a\nb\na"), 2u);
  EXPECT_EQ(count("\\p{L}++", "ab cd"), 2u);
}

// Each file a user may have broken, and what the message must name.
TEST(Load, ErrorsNameFileAndPath) {
  struct Case {
    const char* pointer;
    Json value;
    ErrorKind kind;
    const char* expected;
  };
  const Case cases[] = {
      {"/pre_tokenizer/type", "Frobnicate", ErrorKind::kUnsupported,
       "tokenizer.json: pre_tokenizer: type \"Frobnicate\" is not supported"},
      {"/pre_tokenizer",
       {{"type", "Sequence"}, {"pretokenizers", {{{"type", "Nope"}}}}},
       ErrorKind::kUnsupported,
       "pre_tokenizer.pretokenizers[0]: type \"Nope\""},
      {"/model/type", "Quantum", ErrorKind::kUnsupported, "model: type \"Quantum\""},
      {"/model/vocab/a", -4, ErrorKind::kArtifactInvalid, "vocab[\"a\"]"},
      {"/model/vocab/a", 1LL << 40, ErrorKind::kArtifactInvalid, "expected an integer"},
      {"/model/merges", {"a b c"}, ErrorKind::kArtifactInvalid, "model.merges[0]"},
      {"/model/merges", {"a zz"}, ErrorKind::kArtifactInvalid, "\"zz\" is not in the vocabulary"},
      {"/model/unk_token", 7, ErrorKind::kArtifactInvalid, "model.unk_token: expected a string"},
      {"/model/dropout", 2, ErrorKind::kArtifactInvalid, "model.dropout: expected a number"},
      {"/decoder",
       {{"type", "Replace"}, {"pattern", {{"Regex", "("}}}, {"content", ""}},
       ErrorKind::kArtifactInvalid,
       "decoder.pattern.Regex"},
      {"/added_tokens", {{{"id", 3}}}, ErrorKind::kArtifactInvalid, "added_tokens[0]"},
      {"/normalizer", 7, ErrorKind::kArtifactInvalid, "normalizer: expected an object"},
  };
  for (const Case& c : cases) {
    Json json = byte_level_json(1);
    json[Json::json_pointer(c.pointer)] = c.value;
    EXPECT_THAT(message_of(c.kind, [&] { load_json(json.dump()); }), HasSubstr(c.expected));
  }
  const TemporaryFolder empty;
  EXPECT_THAT(message_of(ErrorKind::kNotFound, [&] { load_tokenizer(empty.path()); }),
              HasSubstr("no tokenizer.json"));
  EXPECT_THAT(message_of(ErrorKind::kArtifactInvalid, [&] { load_json("{\"model\": [}"); }),
              HasSubstr("line 1"));
}

TEST(Load, SentencePieceModelsThatAreCutAreErrors) {
  std::string model;
  const Json golden = read_golden("small.json");
  for (const Json& entry : golden["tokenizers"]) {
    if (entry["name"] == "sentencepiece") {
      model = base64_decode(entry["files"]["tokenizer.model"]["base64"].get<std::string>());
    }
  }
  ASSERT_FALSE(model.empty());
  EXPECT_EQ(parse_sentencepiece(model, "m").pieces.size(), 460u);
  for (size_t size = 0; size < model.size(); size += 7) {
    try {
      (void)parse_sentencepiece(std::string_view(model).substr(0, size), "m");
    } catch (const Error& error) {
      EXPECT_EQ(static_cast<int>(error.kind()), static_cast<int>(ErrorKind::kArtifactInvalid));
    }
  }
  EXPECT_THAT(message_of(ErrorKind::kArtifactInvalid,
                         [&] { (void)parse_sentencepiece("\x0a\xff\xff\x7f", "spiece.model"); }),
              HasSubstr("spiece.model"));
}

}  // namespace
}  // namespace tensormill
