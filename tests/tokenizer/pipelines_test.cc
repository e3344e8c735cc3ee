#include <fmt/format.h>
#include <gtest/gtest.h>

#include "golden.h"
#include "tokenizer/tokenizer.h"

namespace tensormill {
namespace {

// What make_pipelines.py hashes.
std::string digest(const Encoding& encoding) {
  std::string all;
  for (size_t i = 0; i < encoding.ids.size(); ++i) {
    const auto [begin, end] = encoding.offsets[i];
    if (i > 0) all += '\n';
    all += fmt::format("{},{},{},{},{},{},{}", encoding.ids[i], encoding.type_ids[i], begin, end,
                       encoding.words[i], int{encoding.special[i]}, encoding.tokens[i]);
  }
  all += "\n|";
  for (const Encoding& piece : encoding.overflowing) all += digest(piece);
  return all;
}

// Every stage but the model with random options: ids, type ids, offsets, words, mask and tokens of
// texts and pairs are the reference's; ids don't depend on whether the rest is asked for.
TEST(Pipelines, MatchReference) {
  const Json golden = read_golden("pipelines.json");
  int cases = 0;
  for (const Json& entry : golden["tokenizers"]) {
    Json json = entry["json"];
    json["model"] = golden["models"][json["model"].get<size_t>()];
    const TemporaryFolder folder;
    folder.write("tokenizer.json", json.dump());
    // A ByteLevel that stands alone takes its prefix space from the class's file.
    const Json& splitter = json["pre_tokenizer"];
    const bool prefix = splitter.is_object() && splitter.value("add_prefix_space", false);
    folder.write(
        "tokenizer_config.json",
        Json{{"tokenizer_class", "PreTrainedTokenizerFast"}, {"add_prefix_space", prefix}}.dump());
    const auto tokenizer = load_tokenizer(folder.path());
    json.erase("model");
    SCOPED_TRACE(json.dump(-1, ' ', true));
    for (const Json& c : entry["cases"]) {
      SCOPED_TRACE(c.dump(-1, ' ', true));
      const auto text = c[0].get<std::string>();
      const auto pair = c[1].is_null() ? "" : c[1].get<std::string>();
      EncodeRequest request{.text = text, .add_special = c[2].get<bool>()};
      if (!c[1].is_null()) request.pair = pair;
      request.truncation = tokenizer->truncation();
      EXPECT_EQ(tokenizer->encode(request).ids, c[3].get<std::vector<int32_t>>());
      request.details = true;
      EXPECT_EQ(fnv(digest(tokenizer->encode(request))), c[4].get<std::string>());
      ++cases;
    }
  }
  EXPECT_GT(cases, 500);
}

}  // namespace
}  // namespace tensormill
