#include <fmt/format.h>
#include <gtest/gtest.h>

#include <sstream>

#include "golden.h"
#include "tokenizer/decode_stream.h"
#include "tokenizer/tokenizer.h"

namespace tensormill {
namespace {

std::string joined(const std::vector<int32_t>& numbers) {
  std::string text;
  for (const int32_t number : numbers) text.append(std::to_string(number)).append(";");
  return text;
}

std::string streamed(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, bool skip) {
  DecodeStream stream(tokenizer, skip);
  std::string text;
  for (const int32_t id : ids) text += stream.step(id);
  return text + stream.finish();
}

// What overrides.py hashed of a text, or of a text and its pair.
std::string digest(const Tokenizer& tokenizer, const Json& texts) {
  const auto text = texts[0].get<std::string>();
  const auto pair = texts.size() > 1 ? texts[1].get<std::string>() : "";
  EncodeRequest request{.text = text, .details = true};
  if (texts.size() > 1) request.pair = pair;
  std::string all;
  std::vector<int32_t> ids;
  for (const bool special : {true, false}) {
    request.add_special = special;
    const Encoding encoding = tokenizer.encode(request);
    if (special) ids = encoding.ids;
    all += joined(encoding.ids) + "\x1f" + joined(encoding.type_ids) + "\x1f";
    for (const auto& [begin, end] : encoding.offsets) all += fmt::format("{},{};", begin, end);
    all += "\x1f";
  }
  for (const bool skip : {false, true}) {
    const std::string decoded = tokenizer.decode(ids, skip);
    EXPECT_EQ(streamed(tokenizer, ids, skip), decoded);
    all += decoded;
    if (!skip) all += "\x1f";
  }
  return fnv(all);
}

TEST(Overrides, MatchTheReference) {
  const Json golden = read_golden("overrides.json");
  int cases = 0;
  for (const Json& entry : golden["folders"]) {
    const TemporaryFolder folder;
    for (const auto& [name, content] : entry["files"].items()) {
      Json json = content;
      if (name == "tokenizer.json") json["model"] = golden["models"][entry["model"].get<size_t>()];
      folder.write(name, json.dump());
    }
    SCOPED_TRACE(entry["class"].get<std::string>() + " " +
                 entry["files"].value("tokenizer_config.json", Json()).dump());
    const auto tokenizer = load_tokenizer(folder.path());
    std::istringstream hashes(entry["hashes"].get<std::string>());
    for (const Json& texts : golden["texts"]) {
      std::string hash;
      hashes >> hash;
      EXPECT_EQ(digest(*tokenizer, texts), hash) << texts.dump(-1, ' ', true);
      ++cases;
    }
  }
  EXPECT_GT(cases, 2000);
}

}  // namespace
}  // namespace tensormill
