#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "server/dialect_fixture.h"

namespace tensormill {
namespace {

constexpr Dialect kRolling = Dialect::kLmiRolling, kOpenAi = Dialect::kOpenAi;
using testing::HasSubstr;

std::string chat(std::string_view more) {
  return fmt::format(R"({{"messages":[{{"role":"user","content":"hi"}}]{}{}}})",
                     more.empty() ? "" : ",", more);
}

// Replaces what differs from call to call.
std::string fixed(std::string text) {
  for (size_t at = 0; (at = text.find("chatcmpl-", at)) != std::string::npos; at += 10)
    text.replace(at, 9 + 24, "chatcmpl-X");
  for (size_t at = 0; (at = text.find("\"created\": 1", at)) != std::string::npos; at += 12)
    text.replace(at, 21, "\"created\": 1");
  return text;
}

TokenEvent with_top(TokenEvent event) {
  event.top = {{'a', -0.5f}, {257, -2.0f}};
  return event;
}

TEST(LmiChat, Request) {
  const Fixture fixture;
  ParsedCall call = fixture.parse(kRolling, chat(""));
  const TextRequest& request = call.requests.at(0);
  EXPECT_EQ(request.prompt, "[user]hi[assistant]");
  EXPECT_FALSE(request.add_special);
  EXPECT_EQ(request.max_new_tokens, 30);
  EXPECT_TRUE(request.generation.sampling.sample);
  call = fixture.parse(kRolling, chat(R"("max_tokens":3,"temperature":0,"stop":"x","seed":4,
      "top_p":0.5,"presence_penalty":1,"frequency_penalty":-1,"logprobs":true,"top_logprobs":2,
      "model":"m","n":1,"user":"u")"));
  const TextRequest& other = call.requests.at(0);
  EXPECT_EQ(other.max_new_tokens, 3);
  EXPECT_FALSE(other.generation.sampling.sample);
  EXPECT_EQ(other.generation.stop_strings, (std::vector<std::string>{"x"}));
  EXPECT_FALSE(other.generation.include_stop);
  EXPECT_EQ(other.generation.sampling.seed, 4u);
  EXPECT_FLOAT_EQ(other.generation.sampling.top_p, 0.5f);
  EXPECT_FLOAT_EQ(other.generation.sampling.presence_penalty, 1.0f);
  EXPECT_FLOAT_EQ(other.generation.sampling.frequency_penalty, -1.0f);
  EXPECT_EQ(other.generation.top_log_probs, 2);
}

TEST(LmiChat, ExampleWhole) {  // 15
  const Fixture fixture;
  ParsedCall call = fixture.parse(kRolling, chat("\"max_tokens\":3"));
  EXPECT_EQ(call.formatter->content_type(), "application/json");
  EXPECT_EQ(
      fixed(run(call, stub_events())),
      "{\"id\": \"chatcmpl-X\", \"object\": \"chat.completion\", \"created\": 1, \"choices\": "
      "[{\"index\": 0, \"message\": {\"role\": \"assistant\", \"content\": \" w0 "
      "\\\"q\\\"\\n é< w2\"}, \"logprobs\": null, \"finish_reason\": \"length\"}], \"usage\": "
      "{\"prompt_tokens\": 5, \"completion_tokens\": 3, \"total_tokens\": 8}}");
}

TEST(LmiChat, Lines) {
  const Fixture fixture;
  ParsedCall call =
      fixture.parse(kRolling, chat(R"("stream":true,"logprobs":true,"top_logprobs":2)"));
  EXPECT_EQ(call.formatter->content_type(), "application/jsonlines");
  EXPECT_EQ(
      fixed(run(call, {with_top(token('a', "é", -0.5f)), token('b', "b", -1, FinishReason::kEos)})),
      "{\"id\": \"chatcmpl-X\", \"object\": \"chat.completion.chunk\", \"created\": 1, "
      "\"choices\": "
      "[{\"index\": 0, \"delta\": {\"content\": \"é\", \"role\": \"assistant\"}, \"logprobs\": "
      "{\"content\": [{\"token\": \"é\", \"logprob\": -0.5, \"bytes\": [195, 169], "
      "\"top_logprobs\": [{\"token\": \"a\", \"logprob\": -0.5, \"bytes\": [97]}, {\"token\": "
      "\"</s>\", \"logprob\": -2.0, \"bytes\": [60, 47, 115, 62]}]}]}, \"finish_reason\": null}]}\n"
      "{\"id\": \"chatcmpl-X\", \"object\": \"chat.completion.chunk\", \"created\": 1, "
      "\"choices\": "
      "[{\"index\": 0, \"delta\": {\"content\": \"b\"}, \"logprobs\": {\"content\": [{\"token\": "
      "\"b\", \"logprob\": -1.0, \"bytes\": [98], \"top_logprobs\": []}]}, \"finish_reason\": "
      "\"eos_token\"}]}\n");
}

TEST(LmiChat, IdsAreUnique) {
  const Fixture fixture;
  ParsedCall a = fixture.parse(kRolling, chat("")), b = fixture.parse(kRolling, chat(""));
  EXPECT_NE(run(a, stub_events()).substr(0, 45), run(b, stub_events()).substr(0, 45));
}

TEST(LmiChat, Failures) {
  const Fixture fixture;
  ParsedCall call = fixture.parse(kRolling, chat(""));
  const std::string text = run(call, {token(1, "a", 0), failure("broke")});
  EXPECT_TRUE(Json::accept(text)) << text;
  EXPECT_THAT(text, HasSubstr(R"("finish_reason": "error")"));
  EXPECT_THAT(text, HasSubstr(R"("error": "broke", "code": 424)"));
}

TEST(LmiChat, FormattersForPlainPrompts) {
  const Fixture fixture;
  ParsedCall call =
      fixture.parse(kRolling, R"({"inputs":"x","parameters":{"output_formatter":"json_chat"}})");
  EXPECT_EQ(call.requests.at(0).prompt, "x");
  EXPECT_THAT(run(call, stub_events()), HasSubstr("\"object\": \"chat.completion\""));
  call = fixture.parse(kRolling,
                       R"({"inputs":"x","parameters":{"output_formatter":"jsonlines_chat"}})");
  EXPECT_THAT(run(call, stub_events()), HasSubstr("\"object\": \"chat.completion.chunk\""));
}

TEST(LmiChat, BadRequests) {
  Fixture fixture;
  const std::string pair =
      "When passing chat dicts as input, each dict must have a 'role' and 'content' key.";
  EXPECT_EQ(fixture.error(kRolling, R"({"messages":[{"role":"user"}]})"), pair);
  EXPECT_EQ(fixture.error(kRolling, R"({"messages":["x"]})"), pair);
  EXPECT_THAT(fixture.error(kRolling, R"({"messages":"x"})"), HasSubstr("messages: str, expected"));
  EXPECT_THAT(fixture.error(kRolling, R"({"messages":[{"role":"user","content":1}]})"),
              HasSubstr("\"content\" is a int"));
  EXPECT_EQ(fixture.error(kRolling, chat("\"temperature\":3")),  // 16
            "temperature: 3, expected a number from 0 to 2");
  EXPECT_THAT(fixture.error(kRolling, chat("\"top_logprobs\":21")), HasSubstr("top_logprobs: 21"));
  EXPECT_THAT(fixture.error(kRolling, chat("\"stop\":[1]")), HasSubstr("stop: [1], expected"));
  fixture.chat_template.reset();
  EXPECT_THAT(fixture.error(kRolling, chat("")), HasSubstr("has no chat template"));
}

TEST(OpenAi, Request) {
  const Fixture fixture;
  ParsedCall call = fixture.parse(kOpenAi, chat(""));
  const TextRequest& request = call.requests.at(0);
  EXPECT_EQ(request.prompt, "[user]hi[assistant]");
  EXPECT_FALSE(request.add_special);
  EXPECT_FALSE(request.max_new_tokens.has_value());
  EXPECT_TRUE(request.generation.sampling.sample);
  EXPECT_FALSE(call.formatter->chunked());
  call = fixture.parse(kOpenAi, chat(R"("max_tokens":3,"max_completion_tokens":4,"temperature":0,
      "stop":["x","y"],"seed":7,"n":2,"top_k":3,"min_p":0.1,"repetition_penalty":1.2,
      "ignore_eos":true,"response_format":{"type":"text"},"tools":[],"logit_bias":{})"));
  ASSERT_EQ(call.requests.size(), 2u);
  const GenerationRequest& generation = call.requests[1].generation;
  EXPECT_EQ(call.requests[1].max_new_tokens, 4);
  EXPECT_EQ(call.requests[0].generation.sampling.seed, 7u);
  EXPECT_EQ(generation.sampling.seed, 8u);
  EXPECT_FALSE(generation.sampling.sample);
  EXPECT_EQ(generation.sampling.top_k, 3);
  EXPECT_FLOAT_EQ(generation.sampling.min_p, 0.1f);
  EXPECT_FLOAT_EQ(generation.sampling.repetition_penalty, 1.2f);
  EXPECT_TRUE(generation.ignore_eos);
  EXPECT_FALSE(generation.include_stop);
  EXPECT_EQ(generation.stop_strings, (std::vector<std::string>{"x", "y"}));
}

TEST(OpenAi, PartsOfContent) {
  const Fixture fixture;
  const ParsedCall call = fixture.parse(
      kOpenAi,
      R"({"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]})");
  EXPECT_EQ(call.requests.at(0).prompt, "[user]ab[assistant]");
}

TEST(OpenAi, TemplateArguments) {
  Fixture fixture;
  fixture.chat_template =
      std::make_unique<ChatTemplate>("{{ flavour }} {{ bos_token }} {{ tools is none }}");
  const ParsedCall call =
      fixture.parse(kOpenAi, chat(R"("chat_template_kwargs":{"flavour":"mint"})"));
  EXPECT_EQ(call.requests.at(0).prompt, "mint <s> True");
}

TEST(OpenAi, ToolsAndDocuments) {
  Fixture fixture;
  fixture.chat_template = std::make_unique<ChatTemplate>(
      "{{ tools | tojson }} {{ documents | tojson }} {{ messages | tojson }}");
  const auto prompt = [&](std::string_view body) {
    return fixture.parse(kOpenAi, body).requests.at(0).prompt;
  };
  EXPECT_EQ(prompt(R"({"tools":[{"b":1,"a":2}],"documents":[{"text":"é"}],"tool_choice":"auto",
                       "messages":[{"role":"user","content":"q"}]})"),
            R"([{"b": 1, "a": 2}] [{"text": "é"}] [{"role": "user", "content": "q"}])");
  EXPECT_EQ(prompt(R"({"tools":[{}],"tool_choice":"none",
                       "messages":[{"role":"user","content":"q"}]})"),
            R"(null null [{"role": "user", "content": "q"}])");
  // Arguments come as text, templates want what it says; an answer that only calls has no content.
  EXPECT_EQ(prompt(R"({"messages":[{"role":"assistant","content":null,
                       "tool_calls":[{"function":{"name":"f","arguments":"{\"x\": [1]}"}},
                                     {"function":{"name":"g","arguments":"{"}}]}]})"),
            R"(null null [{"role": "assistant", "content": "", "tool_calls": [{"function": )"
            R"({"name": "f", "arguments": {"x": [1]}}}, {"function": {"name": "g", )"
            R"("arguments": "{"}}]}])");
}

// What a body may not hold, text in it may not become.
TEST(OpenAi, ArgumentsHaveTheBoundsOfABody) {
  Fixture fixture;
  fixture.chat_template = std::make_unique<ChatTemplate>(
      "{{ messages[0].tool_calls[0].function.arguments is string }}");
  std::string deep, wide = "{";
  for (int i = 0; i < 20000; ++i) {
    deep += R"({\"a\":)";
    wide += fmt::format(R"({}\"{}\":1)", i == 0 ? "" : ",", i);
  }
  deep += "1" + std::string(20000, '}');
  for (const std::string& arguments : {deep, wide + "}"}) {
    const ParsedCall call = fixture.parse(
        kOpenAi, R"({"messages":[{"role":"assistant","content":null,"tool_calls":[{"function":)"
                 R"({"name":"f","arguments":")" +
                     arguments + R"("}}]}]})");
    EXPECT_EQ(call.requests.at(0).prompt, "True");
  }
}

TEST(OpenAi, PartsStayForTemplatesThatReadThem) {
  Fixture fixture;
  fixture.chat_template = std::make_unique<ChatTemplate>(
      "{% for m in messages %}{% for c in m.content %}<{{ c.text }}>{% endfor %}{% endfor %}");
  const ParsedCall call = fixture.parse(
      kOpenAi,
      R"({"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]})");
  EXPECT_EQ(call.requests.at(0).prompt, "<a><b>");
}

TEST(OpenAi, GenerationConfig) {
  Fixture fixture;
  fixture.info.eos_ids = {5, 6};
  GenerationDefaults& defaults = fixture.generation;
  defaults.temperature = 0.5f;
  defaults.top_k = 20;
  defaults.top_p = 0.75f;
  defaults.max_new_tokens = 9;
  defaults.stop_strings = {"a"};
  defaults.max_length = 70;
  defaults.min_length = 12;
  defaults.no_repeat_ngram_size = 3;
  const auto request = [&](std::string_view more) {
    return fixture.parse(kOpenAi, chat(more)).requests.at(0);
  };
  const TextRequest plain = request("");
  EXPECT_EQ(plain.max_new_tokens, 9);
  EXPECT_EQ(plain.max_length, 70);
  EXPECT_EQ(plain.min_length, 12);
  EXPECT_EQ(plain.generation.sampling.no_repeat_ngram_size, 3);
  EXPECT_EQ(plain.generation.sampling.top_k, 20);
  EXPECT_FLOAT_EQ(plain.generation.sampling.temperature, 0.5f);
  EXPECT_FLOAT_EQ(plain.generation.sampling.top_p, 0.75f);
  EXPECT_EQ(plain.generation.stop_strings, std::vector<std::string>{"a"});
  const TextRequest given =
      request(R"("temperature":1,"top_p":1,"top_k":0,"max_tokens":3,"stop":["b"])");
  EXPECT_EQ(given.max_new_tokens, 3);
  EXPECT_EQ(given.generation.sampling.top_k, 0);
  EXPECT_FLOAT_EQ(given.generation.sampling.temperature, 1.0f);
  EXPECT_FLOAT_EQ(given.generation.sampling.top_p, 1.0f);
  EXPECT_EQ(given.generation.stop_strings, std::vector<std::string>{"b"});
  // The tokenizer's end of a text ends answers too.
  EXPECT_EQ(plain.generation.eos_ids, (std::vector<int32_t>{5, 6, 257}));
}

TEST(OpenAi, EndOfThePrompt) {
  const Fixture fixture;
  const auto prompt = [&](Dialect dialect, std::string_view more) {
    return fixture.parse(dialect, chat(more)).requests.at(0).prompt;
  };
  for (const Dialect dialect : {kOpenAi, kRolling}) {
    EXPECT_EQ(prompt(dialect, ""), "[user]hi[assistant]");
    EXPECT_EQ(prompt(dialect, "\"add_generation_prompt\":false"), "[user]hi");
    EXPECT_EQ(prompt(dialect, "\"continue_final_message\":true"), "[user]hi");
  }
}

TEST(OpenAi, TemplateErrorsAreBadRequests) {
  Fixture fixture;
  fixture.chat_template =
      std::make_unique<ChatTemplate>("\n{{ raise_exception('roles must alternate') }}");
  try {
    fixture.parse(kOpenAi, chat(""));
    ADD_FAILURE();
  } catch (const Error& error) {
    const Reply reply = error_reply(kOpenAi, error, fixture.settings);
    EXPECT_EQ(reply.status, 400);
    EXPECT_THAT(reply.body, HasSubstr("chat template, line 2: roles must alternate, in "));
  }
}

TEST(OpenAi, Whole) {
  const Fixture fixture;
  ParsedCall call = fixture.parse(kOpenAi, chat(R"("model":"gpt","logprobs":true)"));
  EXPECT_EQ(call.formatter->content_type(), "application/json");
  EXPECT_EQ(
      fixed(run(call, {token('a', "a\"", -0.5f), token(257, "", -1, FinishReason::kEos, true)})),
      "{\"id\": \"chatcmpl-X\", \"object\": \"chat.completion\", \"created\": 1, \"model\": "
      "\"gpt\", \"choices\": [{\"index\": 0, \"message\": {\"role\": \"assistant\", \"content\": "
      "\"a\\\"\", \"refusal\": null}, \"logprobs\": {\"content\": [{\"token\": \"a\\\"\", "
      "\"logprob\": -0.5, \"bytes\": [97, 34], \"top_logprobs\": []}, {\"token\": \"</s>\", "
      "\"logprob\": -1.0, \"bytes\": [60, 47, 115, 62], \"top_logprobs\": []}], \"refusal\": "
      "null}, \"finish_reason\": \"stop\"}], \"usage\": {\"prompt_tokens\": 5, "
      "\"completion_tokens\": 2, \"total_tokens\": 7}}");
}

TEST(OpenAi, Stream) {
  const Fixture fixture;
  ParsedCall call =
      fixture.parse(kOpenAi, chat(R"("stream":true,"stream_options":{"include_usage":true})"));
  EXPECT_EQ(call.formatter->content_type(), "text/event-stream");
  const std::string head =
      "data: {\"id\": \"chatcmpl-X\", \"object\": \"chat.completion.chunk\", \"created\": 1, "
      "\"model\": \"m\", \"choices\": [";
  const auto chunk = [&head](std::string_view delta, std::string_view finish) {
    return head + fmt::format(
                      "{{\"index\": 0, \"delta\": {}, \"logprobs\": null, "
                      "\"finish_reason\": {}}}], \"usage\": null}}\n\n",
                      delta, finish);
  };
  EXPECT_EQ(fixed(run(call, {token(1, "", -1), token(2, "é", -1, FinishReason::kLength)})),
            chunk(R"({"role": "assistant", "content": ""})", "null") +
                chunk(R"({"content": "é"})", "null") + chunk("{}", "\"length\"") + head +
                "], \"usage\": {\"prompt_tokens\": 5, \"completion_tokens\": 2, \"total_tokens\": "
                "7}}\n\ndata: [DONE]\n\n");
}

TEST(OpenAi, StreamFailure) {
  const Fixture fixture;
  ParsedCall call = fixture.parse(kOpenAi, chat("\"stream\":true"));
  EXPECT_THAT(run(call, {token(1, "a", -1), failure("broke")}),
              testing::EndsWith("data: {\"error\": {\"message\": \"broke\", \"type\": "
                                "\"server_error\", \"param\": null, \"code\": null}}\n\n"
                                "data: [DONE]\n\n"));
}

TEST(OpenAi, BadRequests) {
  const Fixture fixture;
  const auto error = [&](std::string_view more) { return fixture.error(kOpenAi, chat(more)); };
  EXPECT_EQ(fixture.error(kOpenAi, "[]"), "body: a list, expected an object");
  EXPECT_EQ(fixture.error(kOpenAi, "{}"), "messages: expected a list of at least one message");
  EXPECT_EQ(fixture.error(kOpenAi, R"({"messages":[{"content":"x"}]})"),
            "messages[0].role: expected a string");
  EXPECT_THAT(
      fixture.error(kOpenAi, R"({"messages":[{"role":"user","content":[{"type":"image_url"}]}]})"),
      HasSubstr("messages[0].content: expected a string"));
  EXPECT_EQ(error("\"temperature\":2.5"), "temperature: 2.5, expected a number from 0 to 2");
  EXPECT_EQ(error("\"max_tokens\":0"), "max_tokens: 0, expected an integer of at least 1");
  EXPECT_EQ(error("\"n\":0"), "n: 0, expected an integer from 1 to 16");
  EXPECT_EQ(error("\"stream\":1"), "stream: 1, expected true or false");
  EXPECT_EQ(error("\"top_logprobs\":2"), "top_logprobs: 2, expected logprobs to be true with it");
  EXPECT_EQ(error("\"tools\":[1]"), "tools: [1], expected a list of objects");
  EXPECT_EQ(error("\"tool_choice\":\"required\",\"tools\":[{}]"),
            "tool_choice: only \"auto\" and \"none\" are supported by this server");
  EXPECT_EQ(error("\"documents\":{}"), "documents: {}, expected a list of objects");
  EXPECT_EQ(error("\"chat_template\":\"x\""), "chat_template: not supported by this server");
  EXPECT_EQ(error("\"continue_final_message\":true,\"add_generation_prompt\":true"),
            "continue_final_message: not together with add_generation_prompt");
  EXPECT_THAT(error(R"("response_format":{"type":"json_object"})"),
              HasSubstr("response_format: only"));
}

TEST(OpenAi, ErrorReplies) {
  const Fixture fixture;
  Reply reply =
      error_reply(kOpenAi, Error(ErrorKind::kBadRequest, "n: 0, expected more"), fixture.settings);
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(reply.body,
            R"({"error":{"message":"n: 0, expected more","type":"invalid_request_error",)"
            R"("param":"n","code":null}})");
  reply = error_reply(kOpenAi, Error(ErrorKind::kNotFound, "no model x"), fixture.settings);
  EXPECT_EQ(reply.status, 404);
  EXPECT_THAT(reply.body, HasSubstr(R"("param":null,"code":"model_not_found")"));
  EXPECT_EQ(error_reply(kOpenAi, Error(ErrorKind::kOverloaded, "x"), fixture.settings).status, 503);
  EXPECT_EQ(error_reply(kOpenAi, Error(ErrorKind::kInternal, "x"), fixture.settings).status, 500);
}

}  // namespace
}  // namespace tensormill
