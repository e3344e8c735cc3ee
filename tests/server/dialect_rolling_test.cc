#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/json.h"
#include "server/dialect_fixture.h"
#include "server/python_json.h"

namespace tensormill {
namespace {

constexpr Dialect kRolling = Dialect::kLmiRolling;
using testing::HasSubstr;

TEST(Rolling, Defaults) {
  const Fixture fixture;
  const ParsedCall call = fixture.parse(kRolling, R"({"inputs": "hello world"})");
  ASSERT_EQ(call.requests.size(), 1u);
  const TextRequest& request = call.requests[0];
  EXPECT_EQ(request.prompt, "hello world");
  EXPECT_TRUE(request.add_special);
  EXPECT_EQ(request.max_new_tokens, 30);
  EXPECT_EQ(request.truncate, 0);
  EXPECT_FALSE(request.generation.sampling.sample);
  EXPECT_TRUE(request.generation.include_stop);
  EXPECT_FALSE(request.generation.ignore_eos);
  EXPECT_EQ(call.formatter->content_type(), "application/json");
  EXPECT_TRUE(call.formatter->chunked());
}

TEST(Rolling, AllParameters) {
  const Fixture fixture;
  const ParsedCall call = fixture.parse(kRolling, R"({"inputs": "x", "parameters": {
      "max_new_tokens": 3, "do_sample": true, "temperature": 0.5, "top_k": 7, "top_p": 0.9,
      "typical_p": 0.8, "repetition_penalty": 1.1, "seed": "42", "stop_sequences": ["a", "b"],
      "truncate": 9, "ignore_eos": true, "min_p": 0.1, "presence_penalty": 0.5,
      "frequency_penalty": -0.5, "watermark": 1, "other": [], "details": null}})");
  const TextRequest& request = call.requests[0];
  const SamplingParams& sampling = request.generation.sampling;
  EXPECT_EQ(request.max_new_tokens, 3);
  EXPECT_EQ(request.truncate, 9);
  EXPECT_TRUE(sampling.sample);
  EXPECT_FLOAT_EQ(sampling.temperature, 0.5f);
  EXPECT_EQ(sampling.top_k, 7);
  EXPECT_FLOAT_EQ(sampling.top_p, 0.9f);
  EXPECT_FLOAT_EQ(sampling.typical_p, 0.8f);
  EXPECT_FLOAT_EQ(sampling.min_p, 0.1f);
  EXPECT_FLOAT_EQ(sampling.repetition_penalty, 1.1f);
  EXPECT_FLOAT_EQ(sampling.presence_penalty, 0.5f);
  EXPECT_FLOAT_EQ(sampling.frequency_penalty, -0.5f);
  EXPECT_EQ(sampling.seed, 42u);
  EXPECT_EQ(request.generation.stop_strings, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(request.generation.ignore_eos);
}

TEST(Rolling, AnyWarperSamples) {
  const Fixture fixture;
  const auto samples = [&](std::string_view parameters) {
    const std::string body = fmt::format(R"({{"inputs": "x", "parameters": {}}})", parameters);
    return fixture.parse(kRolling, body).requests[0].generation.sampling.sample;
  };
  EXPECT_TRUE(samples(R"({"do_sample": false, "temperature": 0.7})"));
  EXPECT_TRUE(samples(R"({"top_k": 5})"));
  EXPECT_TRUE(samples(R"({"top_p": 0.5})"));
  EXPECT_TRUE(samples(R"({"typical_p": 0.5})"));
  EXPECT_FALSE(samples(R"({"temperature": 1.0, "top_k": 0, "top_p": 1, "typical_p": 1.0})"));
  EXPECT_FALSE(samples(R"({"repetition_penalty": 1.5})"));
}

TEST(Rolling, SeedsDiffer) {
  const Fixture fixture;
  const auto seed = [&] {
    return fixture.parse(kRolling, R"({"inputs": "x"})").requests[0].generation.sampling.seed;
  };
  const uint64_t first = seed();
  EXPECT_LE(first, 0xFFFFFFFFu);
  EXPECT_TRUE(seed() != first || seed() != first);
}

TEST(Rolling, ExampleJson) {  // examples 1, 3 and 5 of the contract
  const Fixture fixture;
  ParsedCall call = fixture.parse(kRolling, R"({"inputs":"hello world"})");
  EXPECT_EQ(run(call, stub_events(), true), "|{\"generated_text\": \" w0| \\\"q\\\"\\n é<| w2\"}");
  call = fixture.parse(kRolling, R"({"inputs":"hello world","parameters":{"details":true}})");
  EXPECT_EQ(run(call, stub_events()),
            "{\"generated_text\": \" w0 \\\"q\\\"\\n é< w2\", \"details\": {\"finish_reason\": "
            "\"length\", \"generated_tokens\": 3, \"inputs\": \"hello world\", \"tokens\": "
            "[{\"id\": [100], \"text\": \" w0\", \"log_prob\": 0.0}, {\"id\": [101], \"text\": "
            "\" \\\"q\\\"\\n é<\", \"log_prob\": -0.5}, {\"id\": [102], \"text\": \" w2\", "
            "\"log_prob\": -1.0}]}}");
  call = fixture.parse(kRolling,
                       R"({"inputs":"hello \"world\"","parameters":{"return_full_text":true}})");
  EXPECT_EQ(run(call, {token(1, " w0", 0, FinishReason::kLength)}),
            R"({"generated_text": "hello \"world\" w0"})");
}

TEST(Rolling, ExampleOneToken) {  // 6: the text stands once
  const Fixture fixture;
  ParsedCall call = fixture.parse(kRolling, R"({"inputs":"x"})");
  EXPECT_EQ(run(call, {token(1, " w0", 0, FinishReason::kLength)}), R"({"generated_text": " w0"})");
}

TEST(Rolling, ExampleLines) {  // 2 and 7
  const Fixture fixture;
  const std::string expected =
      "{\"token\": {\"id\": [100], \"text\": \" w0\", \"log_prob\": 0.0}}\n"
      "{\"token\": {\"id\": [101], \"text\": \" \\\"q\\\"\\n é<\", \"log_prob\": -0.5}}\n"
      "{\"token\": {\"id\": [102], \"text\": \" w2\", \"log_prob\": -1.0}, "
      "\"generated_text\": \" w0 \\\"q\\\"\\n é< w2\"}\n";
  ParsedCall call = fixture.parse(kRolling, R"({"inputs":"hello world","stream":true})");
  EXPECT_EQ(call.formatter->content_type(), "application/jsonlines");
  EXPECT_EQ(run(call, stub_events()), expected);
  call = fixture.parse(kRolling, R"({"inputs":"x","parameters":{"output_formatter":"jsonlines"}})");
  EXPECT_EQ(run(call, stub_events()), expected);
}

TEST(Rolling, ExampleEos) {  // 4
  const Fixture fixture;
  ParsedCall call =
      fixture.parse(kRolling, R"({"inputs":"hello","stream":true,"parameters":{"details":true}})");
  EXPECT_EQ(run(call, {token(100, " w0", -0.25f), token(2, "", -0.5f, FinishReason::kEos, true)}),
            "{\"token\": {\"id\": [100], \"text\": \" w0\", \"log_prob\": -0.25}}\n"
            "{\"token\": {\"id\": [2], \"log_prob\": -0.5, \"special_token\": true}, "
            "\"generated_text\": \" w0\", \"details\": {\"finish_reason\": \"eos_token\", "
            "\"generated_tokens\": 2, \"inputs\": \"hello\"}}\n");
}

TEST(Rolling, PiecesOfCharacters) {
  const Fixture fixture;
  ParsedCall call = fixture.parse(kRolling, R"({"inputs":"x","stream":true})");
  EXPECT_EQ(run(call, {token(1, "", -0.5f), token(2, "é", -0.5f, FinishReason::kStop)}),
            "{\"token\": {\"id\": [1], \"text\": \"\", \"log_prob\": -0.5}}\n"
            "{\"token\": {\"id\": [2], \"text\": \"é\", \"log_prob\": -0.5}, "
            "\"generated_text\": \"é\"}\n");
  call = fixture.parse(kRolling, R"({"inputs":"x","parameters":{"details":true}})");
  EXPECT_EQ(run(call, {token(1, "", -0.5f), token(2, "é", -0.5f, FinishReason::kStop)}),
            "{\"generated_text\": \"é\", \"details\": {\"finish_reason\": \"stop_sequence\", "
            "\"generated_tokens\": 2, \"inputs\": \"x\", \"tokens\": [{\"id\": [1], \"text\": "
            "\"\", \"log_prob\": -0.5}, {\"id\": [2], \"text\": \"é\", \"log_prob\": -0.5}]}}");
}

TEST(Rolling, OtherFormatters) {
  Fixture fixture;
  ParsedCall call =
      fixture.parse(kRolling, R"({"inputs":"x","parameters":{"output_formatter":"none"}})");
  EXPECT_EQ(run(call, stub_events(), true), "| w0| \"q\"\n é<| w2");
  call = fixture.parse(kRolling, R"({"inputs":"x","parameters":{"output_formatter":"sse"}})");
  EXPECT_EQ(call.formatter->content_type(), "text/event-stream");
  EXPECT_EQ(run(call, {token(1, "a", -1.0f, FinishReason::kLength)}),
            "data: {\"token\": {\"id\": [1], \"text\": \"a\", \"log_prob\": -1.0}, "
            "\"generated_text\": \"a\"}\n\n");
  call = fixture.parse(kRolling,
                       R"({"inputs":"x","stream":true,"parameters":{"output_formatter":"json"}})");
  EXPECT_EQ(call.formatter->content_type(), "application/json");
  call = fixture.parse(kRolling,
                       R"({"inputs":"x","stream":true,"parameters":{"output_formatter":"zz"}})");
  EXPECT_EQ(call.formatter->content_type(), "application/jsonlines");
  fixture.settings.set("option.output_formatter", "jsonlines", "test");
  call = fixture.parse(kRolling, R"({"inputs":"x"})");
  EXPECT_EQ(call.formatter->content_type(), "application/jsonlines");
}

TEST(Rolling, TruthOfPython) {
  const Fixture fixture;
  const auto type = [&](std::string_view stream) {
    return fixture.parse(kRolling, fmt::format(R"({{"inputs":"x","stream":{}}})", stream))
        .formatter->content_type();
  };
  EXPECT_EQ(type("\"false\""), "application/jsonlines");
  EXPECT_EQ(type("1"), "application/jsonlines");
  for (const char* no : {"false", "0", "\"\"", "null", "[]", "{}", "0.0"})
    EXPECT_EQ(type(no), "application/json") << no;
}

TEST(Rolling, FailuresInTheMiddle) {  // 12 and 13
  const Fixture fixture;
  ParsedCall call = fixture.parse(kRolling, R"({"inputs":"x"})");
  const std::string json = run(call, {token(1, " w0", 0), failure("it \"broke\"")});
  EXPECT_EQ(json,
            "{\"generated_text\": \" w0\", \"details\": {\"finish_reason\": \"error\", "
            "\"generated_tokens\": 1, \"inputs\": \"x\"}, \"error\": \"it \\\"broke\\\"\", "
            "\"code\": 424}");
  EXPECT_TRUE(Json::accept(json));
  call = fixture.parse(kRolling, R"({"inputs":"x","stream":true})");
  EXPECT_EQ(run(call, {token(1, " w0", 0), failure("broke")}),
            "{\"token\": {\"id\": [1], \"text\": \" w0\", \"log_prob\": 0.0}}\n"
            "{\"error\":\"broke\",\"code\":424}\n");
}

TEST(Rolling, ListsOfInputs) {
  const Fixture fixture;
  ParsedCall call = fixture.parse(kRolling, R"({"inputs":["a","b"]})");
  ASSERT_EQ(call.requests.size(), 2u);
  EXPECT_EQ(call.requests[1].prompt, "b");
  const SubmittedText submitted[] = {{1, 1, 3}, {2, 1, 3}};
  call.formatter->begin(submitted);
  TokenEvent b1 = token(1, "B", 0, FinishReason::kLength), a1 = token(2, "A", 0),
             a2 = token(3, "a", 0, FinishReason::kLength);
  EXPECT_EQ(call.formatter->on_event(1, b1), "");
  EXPECT_EQ(call.formatter->on_event(0, a1), "[{\"generated_text\": \"A");
  EXPECT_EQ(call.formatter->on_event(0, a2), "a\"}, {\"generated_text\": \"B\"}");
  EXPECT_EQ(call.formatter->finish(), "]");

  call = fixture.parse(kRolling, R"({"inputs":["a"]})");
  EXPECT_EQ(run(call, {token(1, "x", 0, FinishReason::kLength)}), R"([{"generated_text": "x"}])");

  call = fixture.parse(kRolling, R"({"inputs":["a","b"],"stream":true})");
  TokenEvent event = token(1, "x", -1, FinishReason::kLength);
  EXPECT_EQ(call.formatter->on_event(1, event),
            "{\"index\": 1, \"token\": {\"id\": [1], \"text\": \"x\", \"log_prob\": -1.0}, "
            "\"generated_text\": \"x\"}\n");
}

TEST(Rolling, ContentTypes) {
  const Fixture fixture;
  EXPECT_EQ(fixture.parse(kRolling, "plain prompt", "text/plain").requests[0].prompt,
            "plain prompt");
  EXPECT_EQ(fixture.parse(kRolling, "", "").requests[0].prompt, "");
  EXPECT_EQ(fixture.parse(kRolling, R"({"inputs":"x"})", "").requests[0].prompt, "x");
  EXPECT_EQ(fixture.parse(kRolling, R"({"inputs":"x"})", "application/json; charset=utf-8")
                .requests[0]
                .prompt,
            "x");
  EXPECT_EQ(fixture.parse(kRolling, R"({"inputs":"x"})", "application/x-www-form-urlencoded")
                .requests[0]
                .prompt,
            "x");
  EXPECT_EQ(fixture.parse(kRolling, "text", "multipart/form-data").requests[0].prompt, "text");
  EXPECT_EQ(fixture.error(kRolling, "x", "image/png"),
            "content-type: image/png, expected application/json or text/plain");
  EXPECT_EQ(fixture.error(kRolling, "a\xff", "text/plain"),
            "body: no valid UTF-8, byte 0xff at offset 1");
  EXPECT_EQ(fixture.error(kRolling, "{\"inputs\": \"\xed\xa0\x80\"}"),
            "body: no valid UTF-8, byte 0xed at offset 12");
}

struct Bad {
  const char *parameters, *message;
};

class BadParameter : public testing::TestWithParam<Bad> {};

TEST_P(BadParameter, IsNamed) {
  const Fixture fixture;
  const std::string body =
      fmt::format(R"({{"inputs": "x", "parameters": {}}})", GetParam().parameters);
  EXPECT_EQ(fixture.error(kRolling, body), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    All, BadParameter,
    testing::Values(
        Bad{R"({"max_new_tokens": 0})", "max_new_tokens: 0, expected an integer of at least 1"},
        Bad{R"({"max_new_tokens": 1.5})", "max_new_tokens: 1.5, expected an integer of at least 1"},
        Bad{R"({"max_new_tokens": "9"})",
            "max_new_tokens: \"9\", expected an integer of at least 1"},
        Bad{R"({"max_new_tokens": true})",
            "max_new_tokens: true, expected an integer of at least 1"},
        Bad{R"({"max_new_tokens": 99999999999})",
            "max_new_tokens: 99999999999, expected an integer from 1 to 2147483647"},
        Bad{R"({"do_sample": "yes"})", "do_sample: \"yes\", expected true or false"},
        Bad{R"({"temperature": 0})", "temperature: 0, expected a number above 0"},
        Bad{R"({"temperature": "hot"})", "temperature: \"hot\", expected a number above 0"},
        Bad{R"({"top_k": -1})", "top_k: -1, expected an integer of at least 0"},
        Bad{R"({"top_p": 1.5})", "top_p: 1.5, expected a number above 0 and up to 1"},
        Bad{R"({"top_p": 0})", "top_p: 0, expected a number above 0 and up to 1"},
        Bad{R"({"typical_p": -1})", "typical_p: -1, expected a number above 0 and up to 1"},
        Bad{R"({"min_p": 2})", "min_p: 2, expected a number from 0 to 1"},
        Bad{R"({"repetition_penalty": 0})", "repetition_penalty: 0, expected a number above 0"},
        Bad{R"({"presence_penalty": 3})", "presence_penalty: 3, expected a number from -2 to 2"},
        Bad{R"({"frequency_penalty": []})",
            "frequency_penalty: [], expected a number from -2 to 2"},
        Bad{R"({"seed": "abc"})", "seed: \"abc\", expected an integer, or one as a string"},
        Bad{R"({"seed": 1.5})", "seed: 1.5, expected an integer, or one as a string"},
        Bad{R"({"stop_sequences": "x"})",
            "stop_sequences: \"x\", expected a list of at most 64 strings of 1 to 4096 bytes"},
        Bad{R"({"stop_sequences": [""]})",
            "stop_sequences: [\"\"], expected a list of at most 64 strings of 1 to 4096 bytes"},
        Bad{R"({"truncate": -1})", "truncate: -1, expected an integer of at least 0"},
        Bad{R"({"ignore_eos": 1})", "ignore_eos: 1, expected true or false"},
        Bad{R"({"output_formatter": 1})", "output_formatter: 1, expected a string"},
        Bad{"null", "'NoneType' object does not support item assignment"},
        Bad{"[]", "parameters: list, expected an object"}));

TEST(Rolling, BadBodies) {
  const Fixture fixture;
  EXPECT_EQ(fixture.error(kRolling, "{\"inputs\": bad"),  // example 9
            "Expecting value: line 1 column 12 (char 11)");
  EXPECT_EQ(fixture.error(kRolling, ""),  // example 10
            "Expecting value: line 1 column 1 (char 0)");
  EXPECT_EQ(fixture.error(kRolling, "[1]"), "pop expected at most 1 argument, got 2");
  EXPECT_EQ(fixture.error(kRolling, "\"x\""), "'str' object has no attribute 'pop'");
  EXPECT_THAT(fixture.error(kRolling, "{}"), HasSubstr("inputs: missing, expected"));
  EXPECT_THAT(fixture.error(kRolling, R"({"inputs":3})"), HasSubstr("inputs: int, expected"));
  EXPECT_THAT(fixture.error(kRolling, R"({"inputs":[]})"), HasSubstr("inputs: an empty list"));
  EXPECT_THAT(fixture.error(kRolling, R"({"inputs":["a",1]})"), HasSubstr("a list with a int"));
  EXPECT_THAT(fixture.error(kRolling, std::string(100000, '[')), HasSubstr("nested deeper"));
  std::string wide = "{";
  for (int i = 0; i < 5000; ++i) wide += fmt::format("\"k{}\":1,", i);
  EXPECT_THAT(fixture.error(kRolling, wide + "\"inputs\":1}"), HasSubstr("more than 1024 keys"));
  EXPECT_THAT(fixture.error(kRolling, R"({"inputs":"x","y":NaN})"), HasSubstr("NaN"));
}

TEST(Rolling, ErrorReplies) {
  Fixture fixture;
  const Error error(ErrorKind::kBadRequest, "it's <bad>");
  Reply reply = error_reply(kRolling, error, fixture.settings);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.content_type, "application/json");
  EXPECT_EQ(reply.body, R"({"error":"it\u0027s \u003cbad\u003e","code":424})");
  fixture.settings.set("option.error_status", "true", "test");
  reply = error_reply(kRolling, error, fixture.settings);
  EXPECT_EQ(reply.status, 424);
  EXPECT_EQ(reply.body, R"({"error":"it\u0027s \u003cbad\u003e","code":424})");
  reply = error_reply(kRolling, Error(ErrorKind::kOverloaded, "full"), fixture.settings);
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(
      reply.body,
      "{\n  \"code\": 503,\n  \"type\": \"WlmCapacityException\",\n  \"message\": \"full\"\n}\n");
}

TEST(PythonJson, SaysWhatPythonSays) {
  const OrderedJson cases = [] {
    std::ifstream file(std::string(TENSORMILL_GOLDEN) + "/dialect/python_json.json");
    return OrderedJson::parse(file);
  }();
  ASSERT_GT(cases.size(), 50u);
  for (const OrderedJson& each : cases) {
    EXPECT_EQ(python_json_error(each["text"].get<std::string>()), each["error"].get<std::string>())
        << each["text"];
  }
}

}  // namespace
}  // namespace tensormill
