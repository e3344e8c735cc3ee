#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "base/error.h"
#include "golden.h"
#include "tokenizer/decode_stream.h"
#include "tokenizer/json_scanner.h"
#include "tokenizer/models/double_array.h"
#include "tokenizer/models/vocabulary.h"
#include "tokenizer/models/word_cache.h"
#include "tokenizer/tokenizer.h"

namespace tensormill {
namespace {

using testing::HasSubstr;

std::unique_ptr<Tokenizer> load_text(const std::string& json, bool prefix_space = false) {
  const TemporaryFolder folder;
  folder.write("tokenizer.json", json);
  folder.write("tokenizer_config.json", prefix_space ? "{\"add_prefix_space\": true}" : "{}");
  return load_tokenizer(folder.path());
}

std::unique_ptr<Tokenizer> load_model(const Json& model, const Json& decoder = nullptr) {
  return load_text(Json{{"model", model}, {"decoder", decoder}}.dump());
}

std::string message_of(ErrorKind kind, const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.kind()), static_cast<int>(kind)) << error.what();
    return error.what();
  }
  return "no error";
}

std::string streamed(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, bool skip) {
  DecodeStream stream(tokenizer, skip);
  std::string text;
  for (const int32_t id : ids) text += stream.step(id);
  return text + stream.finish();
}

void check_case(const Tokenizer& tokenizer, const Json& c) {
  SCOPED_TRACE(c.dump(-1, ' ', true));
  if (c.contains("error")) {
    EXPECT_THROW(tokenizer.encode(c["text"].get<std::string>()), Error);
    return;
  }
  const auto ids = c["ids"].get<std::vector<int32_t>>();
  if (c.contains("text")) {
    const auto text = c["text"].get<std::string>();
    const Encoding encoding = tokenizer.encode({.text = text, .details = true});
    EXPECT_EQ(encoding.ids, ids);
    if (c.contains("offsets")) {
      EXPECT_EQ(Json(encoding.offsets), c["offsets"]);
    }
  }
  EXPECT_EQ(tokenizer.decode(ids, false), c["decoded"].get<std::string>());
  EXPECT_EQ(tokenizer.decode(ids, true), c["skipped"].get<std::string>());
  EXPECT_EQ(streamed(tokenizer, ids, false), c["decoded"].get<std::string>());
  EXPECT_EQ(streamed(tokenizer, ids, true), c["skipped"].get<std::string>());
}

// Both ways to read a model: as text, and as a tree, which a member that is there twice makes it.
TEST(Models, MatchTheReference) {
  const Json golden = read_golden("models.json");
  int cases = 0;
  for (const Json& entry : golden) {
    const Json& whole = entry["tokenizer"];
    const Json& splitter = whole["pre_tokenizer"];
    const bool prefix_space = splitter.is_object() && splitter.value("add_prefix_space", false);
    std::string text = whole.dump();
    const auto as_text = load_text(text, prefix_space);
    text.replace(text.find("\"model\":{"), 9, "\"model\":{\"vocab\":[],");
    const auto as_tree = load_text(text, prefix_space);
    SCOPED_TRACE(whole["model"].value("type", "untyped") + whole["decoder"].dump(-1, ' ', true));
    for (const Json& c : entry["cases"]) {
      check_case(*as_text, c);
      check_case(*as_tree, c);
      ++cases;
    }
  }
  EXPECT_GT(cases, 400);
}

TEST(Models, UnigramTakesTheLastOfEqualPieces) {
  const auto tokenizer = load_model(Json::parse(
      R"({"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0], ["a", -1], ["b", -3], ["a", -2]]})"));
  EXPECT_EQ(tokenizer->encode("ab").ids, (std::vector<int32_t>{3, 2}));
  EXPECT_EQ(tokenizer->token(1), "a");
  EXPECT_EQ(tokenizer->vocabulary_size(), 4);
}

TEST(Models, UnigramFallsBackToBytesInOnePlace) {
  Json vocab = Json::parse(R"([["<unk>", 0], ["a", -1]])");
  for (int byte = 0; byte < 256; ++byte) {
    vocab.push_back(Json::array({fmt::format("<0x{:02X}>", byte), -9}));
  }
  const auto tokenizer =
      load_model({{"type", "Unigram"}, {"unk_id", 0}, {"byte_fallback", true}, {"vocab", vocab}},
                 {{"type", "ByteFallback"}});
  const Encoding encoding = tokenizer->encode({.text = "a\u00e9\u00dfa", .details = true});
  EXPECT_EQ(encoding.ids, (std::vector<int32_t>{1, 2 + 0xc3, 2 + 0xa9, 2 + 0xc3, 2 + 0x9f, 1}));
  const std::pair<int32_t, int32_t> both{1, 3};
  EXPECT_EQ(encoding.offsets[1], both);
  EXPECT_EQ(encoding.offsets[4], both);
  EXPECT_EQ(tokenizer->decode(encoding.ids), "a\u00e9\u00dfa");
}

TEST(Models, WordPieceGivesUpOnLongWords) {
  Json model = {{"type", "WordPiece"},
                {"unk_token", "[UNK]"},
                {"continuing_subword_prefix", "##"},
                {"max_input_chars_per_word", 3},
                {"vocab", {{"[UNK]", 0}, {"\u00e9", 1}, {"##\u00e9", 2}, {"##\u00e9\u00e9", 3}}}};
  const auto tokenizer = load_model(model);
  EXPECT_EQ(tokenizer->encode("\u00e9\u00e9\u00e9").ids, (std::vector<int32_t>{1, 3}));
  EXPECT_EQ(tokenizer->encode("\u00e9\u00e9\u00e9\u00e9").ids, (std::vector<int32_t>{0}));
  EXPECT_EQ(tokenizer->encode("\u00e9x").ids, (std::vector<int32_t>{0}));
}

TEST(Models, UnknownTextWithoutUnknownTokenIsTheRequestsError) {
  const char* models[] = {
      R"({"type": "WordLevel", "unk_token": "<unk>", "vocab": {"a": 0}})",
      R"({"type": "BPE", "unk_token": "<unk>", "vocab": {"a": 0}, "merges": []})",
      R"({"type": "Unigram", "unk_id": null, "vocab": [["a", -1]]})",
      R"({"type": "WordPiece", "unk_token": "<unk>", "continuing_subword_prefix": "##",
          "max_input_chars_per_word": 100, "vocab": {"a": 0}})",
  };
  for (const char* model : models) {
    const auto tokenizer = load_model(Json::parse(model));
    EXPECT_EQ(tokenizer->encode("a").ids, (std::vector<int32_t>{0}));
    const std::string message =
        message_of(ErrorKind::kBadRequest, [&] { tokenizer->encode("\u4e2d"); });
    EXPECT_THAT(message, HasSubstr("no token for \"\u4e2d\"")) << model;
    EXPECT_THAT(message, HasSubstr("unk"));
  }
}

TEST(Models, ErrorsNameWhatIsWrong) {
  struct Case {
    const char* model;
    const char* expected;
    ErrorKind kind = ErrorKind::kArtifactInvalid;
  };
  const Case cases[] = {
      {R"({"type": "Unigram", "unk_id": 2, "vocab": [["a", 0]]})", "unk_id is 2"},
      {R"({"type": "Unigram", "vocab": [["a", 0], ["b"]]})", "model.vocab[1]: expected [\"token\""},
      {R"({"type": "Unigram", "vocab": [["a", 1e999]]})", "beyond a double's range"},
      {R"({"type": "Unigram", "vocab": {"a": 0}})", "model.vocab: expected an array"},
      {R"({"type": "WordLevel", "vocab": {"a": 0}})", "\"unk_token\" is missing"},
      {R"({"type": "WordLevel", "unk_token": "a", "vocab": {"a": 1.5}})", "vocab[\"a\"]"},
      {R"({"type": "WordLevel", "unk_token": "a", "vocab": {"a": -1}})", "vocab[\"a\"]"},
      {R"({"type": "WordLevel", "unk_token": "a", "vocab": {"a": 16777216}})", "vocab[\"a\"]"},
      {R"({"type": "WordLevel", "unk_token": "a", "vocab": {"a": 1,}})", "line 1, column 68"},
      {R"({"type": "WordPiece", "unk_token": "a", "vocab": {"a": 0}})",
       "\"continuing_subword_prefix\" is missing"},
      {R"({"type": "BPE", "vocab": {"a": 0}})", "\"merges\" is missing"},
      {R"({"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "b"]]})",
       "merge 0 (\"a\" \"b\"): \"b\" is not in the vocabulary"},
      {R"({"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": ["a b"]})",
       "\"ab\" is not in the vocabulary"},
      {R"({"type": "BPE", "vocab": {"a": 0}, "merges": ["a"]})", "model.merges[0]"},
      {R"({"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "b", "c"]]})", "model.merges[0]"},
      {R"({"type": "BPE", "vocab": {"a": 0}, "merges": {"a": "b"}})", "model.merges: expected an"},
      {R"({"vocab": {"a": 0}})", "\"type\" is missing"},
      {R"({"type": "Markov"})", "type \"Markov\" is not supported; supported: BPE, Unigram",
       ErrorKind::kUnsupported},
  };
  for (const Case& c : cases) {
    const std::string whole = std::string("{\"model\": ") + c.model + "}";
    EXPECT_THAT(message_of(c.kind, [&] { load_text(whole); }), HasSubstr(c.expected)) << c.model;
  }
}

TEST(Models, NestedJsonIsRefused) {
  std::string deep = R"({"model": {"type": "BPE", "merges": [], "vocab": )";
  deep.append(100000, '[');
  EXPECT_THAT(message_of(ErrorKind::kArtifactInvalid, [&] { load_text(deep); }),
              HasSubstr("nested deeper"));
}

TEST(Models, IdsMayHaveGaps) {
  const auto tokenizer =
      load_model({{"type", "WordLevel"}, {"unk_token", "u"}, {"vocab", {{"u", 0}, {"a", 4}}}});
  EXPECT_EQ(tokenizer->vocabulary_size(), 5);
  EXPECT_EQ(tokenizer->encode("a").ids, (std::vector<int32_t>{4}));
  EXPECT_EQ(tokenizer->token(2), "");
  EXPECT_EQ(tokenizer->decode(std::vector<int32_t>{4, 2, 4}), "a a");
}

TEST(Vocabulary, TheFirstOrTheLastIdOfATextCounts) {
  Vocabulary vocabulary;
  vocabulary.add("a", 0);
  vocabulary.add("a", 1);
  EXPECT_EQ(vocabulary.find("a"), 0);
  EXPECT_EQ(vocabulary.token(1).data(), nullptr);
  vocabulary.set("a", 2);
  vocabulary.set("", 3);
  EXPECT_EQ(vocabulary.find("a"), 2);
  EXPECT_EQ(vocabulary.token(0), "a");
  EXPECT_EQ(vocabulary.find(""), 3);
  EXPECT_NE(vocabulary.token(3).data(), nullptr);
  for (int32_t id = 4; id < 5000; ++id) vocabulary.add(std::to_string(id), id);
  for (int32_t id = 4; id < 5000; ++id) {
    ASSERT_EQ(vocabulary.find(std::to_string(id)), id);
    ASSERT_EQ(vocabulary.token(id), std::to_string(id));
  }
  EXPECT_EQ(vocabulary.find("5000"), -1);
}

TEST(DoubleArray, FindsWhatWasPutIn) {
  uint32_t random = 3;
  std::vector<std::string> texts;
  for (int i = 0; i < 3000; ++i) {
    std::string text;
    random = random * 1664525 + 1013904223;
    for (uint32_t n = 1 + (random >> 20) % 9; n > 0; --n) {
      random = random * 1664525 + 1013904223;
      text.push_back(
          static_cast<char>((random >> 24) % 7 == 0 ? random >> 16 : 'a' + (random >> 28)));
    }
    texts.push_back(text);
  }
  std::vector<std::pair<std::string_view, int32_t>> entries;
  std::map<std::string, int32_t> expected;
  for (size_t i = 0; i < texts.size(); ++i) {
    entries.emplace_back(texts[i], static_cast<int32_t>(i));
    expected[texts[i]] = static_cast<int32_t>(i);
  }
  const DoubleArray trie(entries);
  const auto value_of = [&](std::string_view text) {
    const auto node = trie.walk(DoubleArray::kRoot, text);
    return node == DoubleArray::kNone ? -1 : trie.value(node);
  };
  for (const auto& [text, id] : expected) {
    EXPECT_EQ(value_of(text), id);
    const std::string longer = text + "~";
    const auto found = expected.find(longer);
    EXPECT_EQ(value_of(longer), found == expected.end() ? -1 : found->second);
  }
  EXPECT_EQ(DoubleArray().walk(DoubleArray::kRoot, "a"), DoubleArray::kNone);
}

const std::pair<const char*, double> kReferenceNumbers[] = {
    {"-7.123456789012345", -7.123456789012345},
    {"0.1", 0.1},
    {"123456789012345678901234567890", 1.2345678901234568e+29},
    {"1e-320", 1e-320},
    {"1.7976931348623157e308", 1.7976931348623157e+308},
    {"-12.345678901234567890123", -12.345678901234567},
    {"5e-324", 5e-324},
    {"18446744073709551616", 1.8446744073709552e+19},
    {"0.30000000000000004", 0.30000000000000004},
    {"-9.3132257461547852e-10", -9.313225746154785e-10},
    {"1E5", 100000.0},
    {"12e-2", 0.12},
    {"0e999999999999", 0.0},
    {"1e-99999999999", 0.0},
    {"-11.823068700026077", -11.823068700026075},
    {"-3.7969945823205276", -3.796994582320528},
    {"-15.9480849510860558", -15.948084951086054},
    {"-13.275156096879615", -13.275156096879616},
    {"-14.06764177207671906", -14.067641772076717},
    {"-15.41046279661601126", -15.41046279661601},
    {"-13.18429627239648916", -13.184296272396491},
    {"-10.249998690059765", -10.249998690059764},
};

TEST(JsonScannerTest, ReadsWhatJsonAllows) {
  std::string_view text;
  JsonScanner strings(R"( "a\"\u00e9\ud83d\ude00\/\n" "plain" )");
  ASSERT_TRUE(strings.string(text));
  EXPECT_EQ(text, "a\"\u00e9\U0001f600/\n");
  ASSERT_TRUE(strings.string(text));
  EXPECT_EQ(text, "plain");
  EXPECT_TRUE(strings.at_end());
  for (const char* bad :
       {"\"", "\"\\x\"", "\"\\ud800\"", "\"\\udc00\"", "\"\n\"", "\"\\u12g4\"", "7"}) {
    EXPECT_FALSE(JsonScanner(bad).string(text)) << bad;
  }
  double number = 0;
  int64_t integer = 0;
  EXPECT_TRUE(JsonScanner("-12.5e-1,").number(number));
  EXPECT_EQ(number, -1.25);
  // What the reference's library reads, not always the nearest double.
  for (const auto& [digits, value] : kReferenceNumbers) {
    EXPECT_TRUE(JsonScanner(digits).number(number));
    EXPECT_EQ(number, value) << digits;
  }
  EXPECT_TRUE(JsonScanner("-0").integer(integer));
  for (const char* bad : {"", "-", "1.", ".5", "1e", "+1", "nan", "inf", "1e999"}) {
    EXPECT_FALSE(JsonScanner(bad).number(number)) << bad;
  }
  for (const char* bad : {"1.0", "1e3", "1234567890123456789", "true"}) {
    EXPECT_FALSE(JsonScanner(bad).integer(integer)) << bad;
  }
  EXPECT_TRUE(JsonScanner(R"({"a": [1, "]", {"b": "\""}]})").skip_value());
  for (const char* bad : {"", "[", "{]", "[}", "\"", "[\"\\\"]"}) {
    EXPECT_FALSE(JsonScanner(bad).skip_value()) << bad;
  }
}

TEST(WordCacheTest, StaysAsLargeAsItIs) {
  WordCache cache;
  std::vector<ModelToken> tokens;
  for (int i = 0; i < 200000; ++i) {
    cache.store(std::to_string(i), false, {{i, 1}, {i + 1, kSamePlace}});
  }
  int found = 0;
  for (int i = 0; i < 200000; ++i) {
    tokens.clear();
    if (!cache.find(std::to_string(i), false, tokens)) continue;
    ++found;
    ASSERT_EQ(tokens.size(), 2u);
    EXPECT_EQ(tokens[0].id, i);
    EXPECT_EQ(tokens[1].bytes, kSamePlace);
  }
  EXPECT_GT(found, 1000);
  EXPECT_LE(found, 1 << 14);
  EXPECT_FALSE(cache.find(std::to_string(199999), true, tokens));
  cache.store(std::string(25, 'a'), false, {{1, 25}});
  EXPECT_FALSE(cache.find(std::string(25, 'a'), false, tokens));
}

}  // namespace
}  // namespace tensormill
