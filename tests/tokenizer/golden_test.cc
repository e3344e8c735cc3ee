#include <gtest/gtest.h>

#include <cstdlib>

#include "base/utf8.h"
#include "golden.h"
#include "tokenizer/decode_stream.h"
#include "tokenizer/tokenizer.h"

namespace tensormill {
namespace {

namespace fs = std::filesystem;
using Offsets = std::vector<std::pair<int32_t, int32_t>>;

std::string streamed(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, bool skip) {
  DecodeStream stream(tokenizer, skip);
  std::string text;
  for (const int32_t id : ids) {
    const std::string piece = stream.step(id);
    EXPECT_EQ(find_invalid_utf8(piece), std::string::npos) << "a piece ends inside a code point";
    text += piece;
  }
  return text + stream.finish();
}

// What make_golden.py hashed besides the ids.
std::string digest(const Tokenizer& tokenizer, const std::string& text, const Encoding& encoding) {
  std::string all;
  for (const auto& [begin, end] : encoding.offsets) {
    all.append(std::to_string(begin)).append(",").append(std::to_string(end)).append(";");
  }
  all += "\x1f";
  for (const int32_t id : tokenizer.encode(text, false).ids)
    all.append(std::to_string(id)).append(";");
  all.append("\x1f").append(tokenizer.decode(encoding.ids, false));
  all.append("\x1f").append(tokenizer.decode(encoding.ids, true));
  return fnv(all);
}

// The ids, and what the digest covers, are as expected; the stream gives what decode() gives.
void expect_same(const Tokenizer& tokenizer, const Json& json, const Json& ids, const Json& rest) {
  SCOPED_TRACE(json.dump(-1, ' ', true));
  const auto text = json.get<std::string>();
  const Encoding encoding = tokenizer.encode({.text = text, .details = true});
  EXPECT_EQ(encoding.ids, unpack_ids(ids.get<std::string>()));
  EXPECT_EQ(digest(tokenizer, text, encoding), rest.get<std::string>());
  EXPECT_EQ(streamed(tokenizer, encoding.ids, false), tokenizer.decode(encoding.ids, false));
  EXPECT_EQ(streamed(tokenizer, encoding.ids, true), tokenizer.decode(encoding.ids, true));
}

TEST(Golden, SmallTokenizers) {
  int cases = 0;
  const Json golden = read_golden("small.json");
  for (const Json& entry : golden["tokenizers"]) {
    const TemporaryFolder folder;
    for (const auto& [name, content] : entry["files"].items()) {
      folder.write(name, content.is_string() ? content.get<std::string>()
                                             : base64_decode(content["base64"].get<std::string>()));
    }
    const auto tokenizer = load_tokenizer(folder.path());
    SCOPED_TRACE(entry["name"].get<std::string>());
    for (const Json& c : entry["cases"]) {
      expect_same(*tokenizer, golden["texts"][c[0].get<size_t>()], c[1], c[2]);
      ++cases;
    }
  }
  EXPECT_GT(cases, 900);
}

class RealTokenizer : public testing::TestWithParam<std::string> {};

TEST_P(RealTokenizer, MatchesReference) {
  const Json golden = read_golden("real.json");
  const Json& cases = golden["tokenizers"].at(GetParam());
  const char* data = std::getenv("TENSORMILL_TEST_DATA");
  const fs::path folder = fs::path(data == nullptr ? "" : data) / "tokenizers" / GetParam();
  if (data == nullptr || !fs::exists(folder)) {
    GTEST_SKIP() << cases.size() << " cases of " << GetParam()
                 << " skipped: no tokenizers in TENSORMILL_TEST_DATA";
  }
  const auto tokenizer = load_tokenizer(folder);
  for (size_t i = 0; i < cases.size(); ++i) {
    expect_same(*tokenizer, golden["texts"][i], cases[i][0], cases[i][1]);
  }
}

INSTANTIATE_TEST_SUITE_P(All, RealTokenizer,
                         testing::Values("gpt2", "gpt4o", "gpt_neox", "gptj", "internlm", "llama2",
                                         "llama3", "opt", "qwen3", "roberta"),
                         [](const auto& value) { return value.param; });

}  // namespace
}  // namespace tensormill
