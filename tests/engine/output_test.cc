#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/fakes.h"

namespace tensormill {
namespace {

const FakeTokenizer kTokenizer;
constexpr int32_t kEos = FakeTokenizer::kEos;

std::vector<int32_t> letters(std::string_view text) {
  return kTokenizer.encode(text, false).ids;
}

// What a model that says `script` gives for a request, after `change`.
template <class F>
Answer generate(std::vector<int32_t> script, int32_t new_tokens, F change) {
  Engine engine(std::make_unique<ScriptRunner>(std::move(script)), kTokenizer, {});
  CollectingSink sink;
  GenerationRequest request;
  request.prompt = {1};
  request.max_new_tokens = new_tokens;
  request.sink = &sink;
  change(request);
  const uint64_t id = engine.submit(std::move(request));
  sink.wait_ended(1);
  return sink.answer(id);
}
constexpr auto kAsIs = [](GenerationRequest&) {};

TEST(Output, LengthIsCheckedBeforeEos) {
  std::vector<int32_t> script = letters("ab");
  script.push_back(kEos);
  Answer answer = generate(script, 3, kAsIs);
  EXPECT_EQ(answer.finish, FinishReason::kLength);
  EXPECT_EQ(answer.tokens.size(), 3u);
  EXPECT_EQ(answer.text, "ab");
  answer = generate(script, 4, kAsIs);
  EXPECT_EQ(answer.finish, FinishReason::kEos);
  EXPECT_EQ(answer.tokens.back(), kEos);
  EXPECT_EQ(answer.text, "ab");
  EXPECT_EQ(answer.token_texts.back(), "");
}

TEST(Output, EosMayBeIgnoredShownOrAnotherToken) {
  std::vector<int32_t> script = letters("ab");
  script.push_back(kEos);
  Answer answer = generate(script, 5, [](auto& r) { r.ignore_eos = true; });
  EXPECT_EQ(answer.finish, FinishReason::kLength);
  EXPECT_EQ(answer.text, "abab");
  answer = generate(script, 5, [](auto& r) { r.skip_special = false; });
  EXPECT_EQ(answer.finish, FinishReason::kEos);
  EXPECT_EQ(answer.text, "ab</s>");
  answer = generate(script, 5, [](auto& r) { r.eos_ids = letters("b"); });
  EXPECT_EQ(answer.finish, FinishReason::kEos);
  EXPECT_EQ(answer.text, "a");
  EXPECT_EQ(answer.tokens.size(), 2u);
}

TEST(Output, EosIsMaskedBeforeMinNewTokens) {
  std::vector<int32_t> script = letters("ab");
  script.push_back(kEos);
  const Answer answer = generate(script, 10, [](auto& r) { r.min_new_tokens = 4; });
  EXPECT_EQ(answer.finish, FinishReason::kEos);
  EXPECT_EQ(answer.tokens.size(), 6u);  // the second EOS
  EXPECT_NE(answer.tokens[2], kEos);
}

TEST(Output, StopStringsAcrossTokens) {
  const auto script = letters("one two, three");
  Answer answer = generate(script, 14, [](auto& r) { r.stop_strings = {"two,"}; });
  EXPECT_EQ(answer.finish, FinishReason::kStop);
  EXPECT_EQ(answer.text, "one two,");
  EXPECT_EQ(answer.tokens.size(), 8u);
  answer = generate(script, 14, [](auto& r) {
    r.stop_strings = {"two,"};
    r.include_stop = false;
  });
  EXPECT_EQ(answer.finish, FinishReason::kStop);
  EXPECT_EQ(answer.text, "one ");
  EXPECT_EQ(answer.tokens.size(), 8u);
  for (size_t i = 0; i < 4; ++i) {  // what can't begin the stop string streams at once
    EXPECT_EQ(answer.pieces[i], std::string(1, "one "[i])) << i;
  }
}

TEST(Output, StopStringInsideOfAToken) {
  const std::vector<int32_t> script = {0, 59, 1};  // "a", " end.", "b"
  Answer answer = generate(script, 9, [](auto& r) { r.stop_strings = {"en"}; });
  EXPECT_EQ(answer.finish, FinishReason::kStop);
  EXPECT_EQ(answer.text, "a en");
  EXPECT_EQ(answer.tokens.size(), 2u);
}

TEST(Output, HeldBackTextComesWithTheEnd) {
  const auto script = letters("abcd");
  const Answer answer = generate(script, 3, [](auto& r) {
    r.stop_strings = {"bcx"};
    r.include_stop = false;
  });
  EXPECT_EQ(answer.finish, FinishReason::kLength);
  EXPECT_EQ(answer.pieces, (std::vector<std::string>{"a", "", "bc"}));
}

TEST(Output, TextNeverEndsInsideOfACodePoint) {
  const std::vector<int32_t> script = {0, FakeTokenizer::kSignHead, FakeTokenizer::kSignTail, 1};
  Answer answer = generate(script, 4, kAsIs);
  EXPECT_EQ(answer.pieces, (std::vector<std::string>{"a", "", "\xE2\x82\xAC", "b"}));
  answer = generate(script, 2, kAsIs);  // ends in between
  EXPECT_EQ(answer.text, "a\xEF\xBF\xBD");
}

TEST(Output, LogitsThatAreNoNumbersFailTheRequest) {
  std::vector<int32_t> script = letters("ab");
  script.push_back(-1);
  const Answer answer = generate(script, 9, kAsIs);
  EXPECT_EQ(answer.finish, FinishReason::kError);
  EXPECT_NE(answer.error.find("not finite"), std::string::npos);
  EXPECT_EQ(answer.tokens.size(), 2u);
}

TEST(Output, TopTokensComeWithTheEvents) {
  class Sink : public EventSink {
   public:
    void deliver(std::span<TokenEvent> events) override {
      for (TokenEvent& event : events) all.push_back(std::move(event));
      if (all.back().finish != FinishReason::kNone) done = true;
      done.notify_all();
    }
    std::vector<TokenEvent> all;
    std::atomic<bool> done = false;
  } sink;
  Engine engine(std::make_unique<HashRunner>(), kTokenizer, {});
  GenerationRequest request;
  request.prompt = {1, 2, 3};
  request.max_new_tokens = 3;
  request.ignore_eos = true;
  request.top_log_probs = 4;
  request.sink = &sink;
  engine.submit(request);
  sink.done.wait(false);
  ASSERT_EQ(sink.all.size(), 3u);
  for (const TokenEvent& event : sink.all) {
    ASSERT_EQ(event.top.size(), 4u);
    EXPECT_EQ(event.top[0].id, event.token);
    EXPECT_EQ(event.top[0].log_prob, event.log_prob);
    EXPECT_GE(event.top[2].log_prob, event.top[3].log_prob);
  }
}

}  // namespace
}  // namespace tensormill
