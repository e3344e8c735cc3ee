#include "tasks/perplexity.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/fakes.h"
#include "models/fixture.h"
#include "models/host_batch.h"

namespace tensormill {
namespace {

using Ids = std::vector<int32_t>;

// Puts two tokens before a text and one after it.
class FramingTokenizer : public FakeTokenizer {
 public:
  using Tokenizer::encode;
  Encoding encode(const EncodeRequest& request) const override {
    Encoding encoding = FakeTokenizer::encode(request);
    if (!request.add_special) return encoding;
    encoding.ids.insert(encoding.ids.begin(), kSignHead);
    encoding.ids.push_back(kEos);
    return encoding;
  }
};

TEST(CutWindows, EachBeginsWithWhatStandsBeforeAText) {
  const FramingTokenizer tokenizer;
  const Ids text = tokenizer.encode("hello", false).ids;
  ASSERT_EQ(text.size(), 5u);
  const TextWindows cut = cut_windows(tokenizer, "hello", 4);
  constexpr int32_t kFirst = FakeTokenizer::kSignHead, kSecond = FakeTokenizer::kBos;
  EXPECT_EQ(cut.windows, (std::vector<Ids>{{kFirst, kSecond, text[0], text[1]},
                                           {kFirst, kSecond, text[2], text[3]},
                                           {kFirst, kSecond, text[4]}}));
  EXPECT_EQ(cut.added, 2);
  EXPECT_EQ(cut.text_tokens, 5);
  EXPECT_THROW(cut_windows(tokenizer, "hello", 2), Error);
  EXPECT_THROW(cut_windows(tokenizer, "", 4), Error);
}

TEST(CutWindows, WithoutThoseALastTokenAloneIsLeftOut) {
  const auto tokenizer = byte_tokenizer(256);
  const TextWindows cut = cut_windows(*tokenizer, "abcde", 2);
  EXPECT_EQ(cut.windows, (std::vector<Ids>{{'a', 'b'}, {'c', 'd'}}));
  EXPECT_EQ(cut.added, 0);
  EXPECT_THROW(cut_windows(*tokenizer, "abcde", 1), Error);
  EXPECT_THROW(cut_windows(*tokenizer, "a", 8), Error);
  EXPECT_THROW(cut_windows(*tokenizer, "\xff", 8), Error);
}

// -ln of each token's softmax, plainly, from all logits of `forward`.
Loss plain_loss(const Model& model, const TextWindows& text) {
  const auto vocabulary = static_cast<size_t>(model.info().vocabulary);
  Loss loss;
  for (const Ids& window : text.windows) {
    const AllRows all = run_sequences(model, {window}, 1 << 20);
    for (size_t i = static_cast<size_t>(std::max(1, text.added)); i < window.size(); ++i) {
      const float* row = &all.logits[(i - 1) * vocabulary];
      double sum = 0;
      for (size_t v = 0; v < vocabulary; ++v) sum += std::exp(double{row[v]});
      loss.sum += std::log(sum) - row[window[i]];
      ++loss.scored;
    }
  }
  return loss;
}

struct Case {
  const char *family, *variant;
};

// One whose prompts go in chunks, one with learned positions, one that must be computed whole.
constexpr Case kCases[] = {{"llama", "grouped"}, {"gpt2", "plain"}, {"glm", "decoder"}};

TEST(TextLoss, IsTheLogSoftmaxOfForward) {
  const std::string words = "It was the best of times, it was the worst of times";
  const FramingTokenizer tokenizer;
  for (const Case& item : kCases) {
    SCOPED_TRACE(item.family);
    ThreadTeam team(2);
    LoadOptions load = load_options(WeightFormat::kF32);
    run_on_test_device(load, &team);
    const auto model = find_variant(item.family, item.variant).load(load);
    TextWindows windows = cut_windows(tokenizer, words, 20);
    for (const int32_t added : {2, 0}) {
      windows.added = added;
      const Loss expected = plain_loss(*model, windows);
      size_t calls = 0;
      const Loss loss = text_loss(*model, windows, 7, team, [&](size_t done, const Loss& now) {
        EXPECT_EQ(done, ++calls);
        EXPECT_GT(now.scored, 0);
      });
      EXPECT_EQ(calls, windows.windows.size());
      EXPECT_EQ(loss.scored, expected.scored);
      EXPECT_NEAR(loss.mean(), expected.mean(), 2e-6 * expected.mean());
      if (!on_gpu()) {
        EXPECT_EQ(loss.sum, text_loss(*model, windows, 64, team).sum);
      }
    }
  }
}

TEST(TextLoss, RefusesTokensOutsideTheVocabulary) {
  ThreadTeam team(1);
  LoadOptions load = load_options(WeightFormat::kF32);
  run_on_test_device(load, &team);
  const auto model = find_variant("llama", "grouped").load(load);
  TextWindows windows;
  windows.windows = {{1, model->info().vocabulary}};
  EXPECT_THROW(text_loss(*model, windows, 64, team), Error);
}

}  // namespace
}  // namespace tensormill
