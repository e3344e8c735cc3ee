#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/dialect_fixture.h"

namespace tensormill {
namespace {

constexpr Dialect kDynamic = Dialect::kLmiDynamic;
using testing::HasSubstr;

std::string with(std::string_view parameters) {
  return fmt::format(R"({{"inputs": "hello", "parameters": {}}})", parameters);
}

TEST(Dynamic, Defaults) {
  const Fixture fixture;
  const ParsedCall call = fixture.parse(kDynamic, R"({"inputs": "hello"})");
  ASSERT_EQ(call.requests.size(), 1u);
  EXPECT_EQ(call.requests[0].max_new_tokens, 20 - 6);  // the prompt and <s> count
  EXPECT_FALSE(call.requests[0].generation.sampling.sample);
  EXPECT_EQ(call.formatter->content_type(), "application/json");
  EXPECT_FALSE(call.formatter->chunked());
  const std::string longer(50, 'x');
  EXPECT_EQ(fixture.parse(kDynamic, longer, "text/plain").requests[0].max_new_tokens, 1);
}

TEST(Dynamic, Lengths) {
  const Fixture fixture;
  const auto request = [&](std::string_view parameters) {
    return fixture.parse(kDynamic, with(parameters)).requests[0];
  };
  EXPECT_EQ(request(R"({"max_new_tokens": 3})").max_new_tokens, 3);
  EXPECT_EQ(request(R"({"max_length": 10})").max_new_tokens, 4);
  EXPECT_EQ(request(R"({"max_length": 10, "max_new_tokens": 7})").max_new_tokens, 7);
  EXPECT_EQ(request(R"({"min_length": 10})").generation.min_new_tokens, 4);
  EXPECT_EQ(request(R"({"min_new_tokens": 2})").generation.min_new_tokens, 2);
}

TEST(Dynamic, Sampling) {
  const Fixture fixture;
  const auto generation = [&](std::string_view parameters) {
    return fixture.parse(kDynamic, with(parameters)).requests[0].generation;
  };
  EXPECT_FALSE(generation(R"({"temperature": 0.5, "top_p": 0.5})").sampling.sample);
  EXPECT_FLOAT_EQ(generation(R"({"temperature": 0.5})").sampling.temperature, 1.0f);
  const SamplingParams sampling =
      generation(R"({"do_sample": true, "temperature": 0.5, "no_repeat_ngram_size": 2})").sampling;
  EXPECT_TRUE(sampling.sample);
  EXPECT_EQ(sampling.top_k, 50);
  EXPECT_FLOAT_EQ(sampling.temperature, 0.5f);
  EXPECT_EQ(sampling.no_repeat_ngram_size, 2);
  EXPECT_EQ(generation(R"({"do_sample": true, "top_k": 0})").sampling.top_k, 0);
  EXPECT_FLOAT_EQ(generation(R"({"repetition_penalty": 1.5})").sampling.repetition_penalty, 1.5f);
  EXPECT_EQ(generation(R"({"eos_token_id": 7})").eos_ids, (std::vector<int32_t>{7}));
  EXPECT_EQ(generation(R"({"eos_token_id": [7, 8]})").eos_ids, (std::vector<int32_t>{7, 8}));
  EXPECT_TRUE(generation(R"({"ignore_eos": true})").ignore_eos);
}

// A request's rules on tokens stand for the model's, each for itself.
TEST(Dynamic, TokenRules) {
  Fixture fixture;
  TokenRules own;
  own.suppressed = {4};
  own.last = {5};
  fixture.generation.rules = std::make_shared<const TokenRules>(own);
  const auto rules = [&](std::string_view parameters) {
    return fixture.parse(kDynamic, with(parameters)).requests.front().generation.rules;
  };
  EXPECT_EQ(rules("{}"), nullptr);  // the model's
  const auto given = rules(R"({"suppress_tokens": [1, 2], "bad_words_ids": [[3], [4, 5]],
                               "begin_suppress_tokens": [6], "forced_bos_token_id": 7})");
  ASSERT_NE(given, nullptr);
  EXPECT_EQ(given->suppressed, (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(given->bad_words, (std::vector<std::vector<int32_t>>{{3}, {4, 5}}));
  EXPECT_EQ(given->begin_suppressed, (std::vector<int32_t>{6}));
  EXPECT_EQ(given->second, (std::vector<int32_t>{7}));
  EXPECT_EQ(given->last, (std::vector<int32_t>{5}));
  const auto off = rules(R"({"suppress_tokens": [], "forced_eos_token_id": []})");
  ASSERT_NE(off, nullptr);
  EXPECT_TRUE(off->empty());
}

// What a request leaves out comes from the model's generation config.
TEST(Dynamic, GenerationConfig) {
  Fixture fixture;
  fixture.info.eos_ids = {5};
  GenerationDefaults& defaults = fixture.generation;
  defaults.do_sample = true;
  defaults.temperature = 0.6f;
  defaults.top_p = 0.9f;
  defaults.max_length = 40;
  defaults.repetition_penalty = 1.25f;
  defaults.stop_strings = {"stop"};
  const auto request = [&](std::string_view parameters) {
    return fixture.parse(kDynamic, with(parameters)).requests[0];
  };
  const TextRequest plain = request("{}");
  EXPECT_EQ(plain.max_new_tokens, 40 - 6);
  EXPECT_TRUE(plain.generation.sampling.sample);
  EXPECT_FLOAT_EQ(plain.generation.sampling.temperature, 0.6f);
  EXPECT_FLOAT_EQ(plain.generation.sampling.top_p, 0.9f);
  EXPECT_FLOAT_EQ(plain.generation.sampling.repetition_penalty, 1.25f);
  EXPECT_EQ(plain.generation.sampling.top_k, 50);
  EXPECT_EQ(plain.generation.stop_strings, std::vector<std::string>{"stop"});
  EXPECT_EQ(request(R"({"max_length": 10})").max_new_tokens, 4);
  EXPECT_FLOAT_EQ(request(R"({"temperature": 2})").generation.sampling.temperature, 2.0f);
  const SamplingParams greedy = request(R"({"do_sample": false})").generation.sampling;
  EXPECT_FALSE(greedy.sample);
  EXPECT_FLOAT_EQ(greedy.temperature, 1.0f);
  EXPECT_FLOAT_EQ(greedy.repetition_penalty, 1.25f);
  defaults.max_new_tokens = 8;
  EXPECT_EQ(request(R"({"max_length": 10})").max_new_tokens, 8);
  EXPECT_EQ(request(R"({"max_new_tokens": 3})").max_new_tokens, 3);
}

TEST(Dynamic, ExampleArrays) {  // 17 and 18
  const Fixture fixture;
  ParsedCall call = fixture.parse(kDynamic, R"({"inputs":"hello world","parameters":{}})");
  EXPECT_EQ(run(call, {token('!', "", -1), token('?', "", -1),
                       token(257, "", -1, FinishReason::kEos, true)}),
            "[\n  {\n    \"generated_text\":\"hello world!?\"\n  }\n]");
  call = fixture.parse(kDynamic, R"({"inputs":["hello","é\n"]})");
  const SubmittedText submitted[] = {{1, 6, 3}, {2, 4, 3}};
  call.formatter->begin(submitted);
  TokenEvent b = token('b', "", 0, FinishReason::kLength),
             a = token('a', "", 0, FinishReason::kLength);
  EXPECT_EQ(call.formatter->on_event(1, b), "");
  EXPECT_EQ(call.formatter->on_event(0, a), "");
  EXPECT_EQ(call.formatter->finish(),
            "[\n  {\n    \"generated_text\":\"helloa\"\n  },\n"
            "  {\n    \"generated_text\":\"é\\nb\"\n  }\n]");
}

TEST(Dynamic, UnknownKeys) {  // 19
  const Fixture fixture;
  EXPECT_EQ(fixture.error(kDynamic, with(R"({"details": true})")),
            "The following `model_kwargs` are not used by the model: ['details'] (note: typos in "
            "the generate arguments will also show up in this list)");
  EXPECT_THAT(fixture.error(kDynamic, with(R"({"stream": true, "it's": 1})")),
              HasSubstr("['stream', \"it's\"]"));
  EXPECT_EQ(fixture.error(kDynamic, with(R"({"details": null, "pad_token_id": 2})")), "no error");
  EXPECT_THAT(fixture.error(kDynamic, with(R"({"num_beams": 2})")),
              HasSubstr("DeepSpeed does not support `num_beams` > 1"));
  EXPECT_THAT(fixture.error(kDynamic, with(R"({"force_words_ids": [[1]]})")),
              HasSubstr("force_words_ids: not supported"));
  EXPECT_THAT(fixture.error(kDynamic, with(R"({"bad_words_ids": [1]})")),
              HasSubstr("bad_words_ids: [1], expected a list of at most 1024 lists of token ids"));
  EXPECT_THAT(fixture.error(kDynamic, with(R"({"bad_words_ids": [[1, 258]]})")),
              HasSubstr("bad_words_ids: [[1,258]], expected a list"));
  EXPECT_THAT(fixture.error(kDynamic, with(R"({"forced_eos_token_id": -1})")),
              HasSubstr("forced_eos_token_id: -1, expected a token id below 258"));
  EXPECT_THAT(fixture.error(kDynamic, with(R"({"eos_token_id": 258})")),
              HasSubstr("eos_token_id: 258, expected a token id below 258"));
  EXPECT_THAT(fixture.error(kDynamic, with(R"({"max_length": "a"})")), HasSubstr("max_length: "));
  EXPECT_THAT(fixture.error(kDynamic, with(R"({"top_k": -1})")), HasSubstr("top_k: -1"));
  EXPECT_EQ(fixture.error(kDynamic, R"({"inputs":"x","batch_size":2,"text_length":9})"),
            "no error");
}

TEST(Dynamic, LongPrompts) {
  const Fixture fixture;
  EXPECT_EQ(fixture.error(kDynamic, std::string(100, 'x'), "text/plain"),
            "Input with size 101 exceeds maximum length of 100. Please increase `max_tokens` in "
            "the DeepSpeed Inference Config.");
}

TEST(Dynamic, ErrorReplies) {
  const Fixture fixture;
  const Reply reply =
      error_reply(kDynamic, Error(ErrorKind::kBadRequest, "it's <bad>"), fixture.settings);
  EXPECT_EQ(reply.status, 424);
  EXPECT_EQ(reply.reason, "prediction failure");
  EXPECT_EQ(reply.content_type, "application/json");
  EXPECT_EQ(reply.body,
            "{\n  \"code\":424,\n  \"message\":\"prediction failure\",\n  \"error\":\"it's "
            "<bad>\"\n}");
  EXPECT_EQ(fixture.error(kDynamic, "{\"inputs\": bad"),
            "Expecting value: line 1 column 12 (char 11)");
  EXPECT_THAT(fixture.error(kDynamic, R"({"messages": []})"),
              HasSubstr("chat completions support is not currently available"));
}

TEST(DynamicStreaming, ExampleSteps) {  // 23 and 24
  Fixture fixture;
  fixture.settings.set("option.enable_streaming", "true", "test");
  ParsedCall call = fixture.parse(
      kDynamic, R"({"inputs":["a","b"],"parameters":{"unknown":1,"manual_seed":5,"top_k":3}})");
  EXPECT_EQ(call.requests[0].max_new_tokens, 50);
  EXPECT_TRUE(call.requests[0].generation.sampling.sample);
  EXPECT_EQ(call.requests[0].generation.sampling.seed, 5u);
  EXPECT_FALSE(call.requests[0].generation.skip_special);
  EXPECT_TRUE(call.formatter->chunked());
  EXPECT_EQ(call.formatter->content_type(), "application/jsonlines");
  TokenEvent a0 = token(1, "tök0", 0), b0 = token(1, "b0", 0), broke = failure("boom: é");
  EXPECT_EQ(call.formatter->on_event(0, a0), "");
  EXPECT_EQ(call.formatter->on_event(1, b0), "{\"outputs\": [\"t\\u00f6k0\", \"b0\"]}\n");
  TokenEvent a1 = token(1, "x", 0), end = token(2, "y", 0, FinishReason::kLength);
  EXPECT_EQ(call.formatter->on_event(1, end), "");
  EXPECT_EQ(call.formatter->on_event(0, a1), "{\"outputs\": [\"x\", \"y\"]}\n");
  TokenEvent a2 = token(1, "z", 0);
  EXPECT_EQ(call.formatter->on_event(0, a2), "{\"outputs\": [\"z\", \"\"]}\n");
  EXPECT_EQ(call.formatter->on_event(0, broke), "boom: é");
  EXPECT_THAT(fixture.error(kDynamic, with(R"({"beam_size": 2})")), HasSubstr("beam_size: 2"));
}

TEST(DynamicStreaming, HuggingFace) {
  Fixture fixture;
  fixture.settings.set("option.enable_streaming", "huggingface", "test");
  ParsedCall call = fixture.parse(kDynamic, with(R"({"max_new_tokens": 2})"));
  EXPECT_EQ(run(call, {token(1, "a", 0), failure("no")}),
            "{\"outputs\": [\"hello\"]}\n{\"outputs\": [\"a\"]}\n{\"outputs\": \"no\"}\n");
  EXPECT_THAT(fixture.error(kDynamic, with(R"({"details": true})")), HasSubstr("model_kwargs"));
}

}  // namespace
}  // namespace tensormill
