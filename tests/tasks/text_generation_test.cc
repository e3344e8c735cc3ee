#include "tasks/text_generation.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/error.h"
#include "engine/fakes.h"
#include "tasks/load_model.h"

namespace tensormill {
namespace {

const FakeTokenizer kTokenizer;

TextRequest text_request(std::string prompt, EventSink& sink) {
  TextRequest request;
  request.prompt = std::move(prompt);
  request.generation.sink = &sink;
  request.generation.ignore_eos = true;
  return request;
}

TEST(SubmitText, CountsTokensAndFillsLengthsIn) {
  CollectingSink sink;
  EngineOptions options;
  options.max_tokens = 20;
  Engine engine(std::make_unique<HashRunner>(), kTokenizer, options);
  TextRequest request = text_request("hello", sink);
  request.max_new_tokens = 3;
  SubmittedText submitted = submit_text(engine, kTokenizer, request);
  EXPECT_EQ(submitted.prompt_tokens, 6);  // with BOS
  EXPECT_EQ(submitted.max_new_tokens, 3);
  request.add_special = false;
  request.max_new_tokens.reset();
  submitted = submit_text(engine, kTokenizer, request);
  EXPECT_EQ(submitted.prompt_tokens, 5);
  EXPECT_EQ(submitted.max_new_tokens, 15);
  sink.wait_ended(2);
  EXPECT_EQ(sink.answer(submitted.id).tokens.size(), 15u);
  request.max_length = 9;
  EXPECT_EQ(submit_text(engine, kTokenizer, request).max_new_tokens, 4);
  request.max_length = 3;  // less than the prompt
  EXPECT_EQ(submit_text(engine, kTokenizer, request).max_new_tokens, 1);
  request.max_new_tokens = 6;
  EXPECT_EQ(submit_text(engine, kTokenizer, request).max_new_tokens, 6);
  sink.wait_ended(5);
}

TEST(SubmitText, TruncateKeepsTheLastTokens) {
  CollectingSink sink;
  Engine engine(std::make_unique<HashRunner>(), kTokenizer, {});
  TextRequest whole = text_request("lo", sink);
  whole.add_special = false;
  whole.max_new_tokens = 8;
  TextRequest cut = text_request("hello", sink);
  cut.truncate = 2;
  cut.max_new_tokens = 8;
  const SubmittedText a = submit_text(engine, kTokenizer, whole);
  const SubmittedText b = submit_text(engine, kTokenizer, cut);
  sink.wait_ended(2);
  EXPECT_EQ(b.prompt_tokens, 2);
  EXPECT_EQ(sink.answer(a.id).tokens, sink.answer(b.id).tokens);
  cut.truncate = -1;
  EXPECT_THROW(submit_text(engine, kTokenizer, cut), Error);
}

TEST(LoadText, RandomWeightsNeedOnlyAConfig) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(testing::TempDir()) / "tensormill_load_text";
  fs::remove_all(folder);
  fs::create_directories(folder);
  fs::copy_file(fs::path(TENSORMILL_GOLDEN) / "models/llama/grouped.config.json",
                folder / "config.json");
  LoadTextOptions options;
  options.folder = folder;
  options.random_weights = true;
  options.threads = 2;
  options.engine.max_tokens = 0;
  CollectingSink sink;
  const auto text = load_text(options);
  EXPECT_EQ(text->engine->options().max_tokens, 512);
  EXPECT_EQ(text->chat_template, nullptr);
  EXPECT_EQ(process_team(7).size(), 2);  // the first to ask decided
  TextRequest request = text_request("AB C!", sink);
  request.max_new_tokens = 4;
  const SubmittedText submitted = submit_text(*text->engine, *text->tokenizer, request);
  sink.wait_ended(1);
  EXPECT_EQ(sink.answer(submitted.id).tokens.size(), 4u);

  options.random_weights = false;
  EXPECT_THROW(load_text(options), Error);
  options.random_weights = true;
  options.cpu_level = "abacus";
  EXPECT_THROW(load_text(options), Error);
  fs::remove_all(folder);
}

TEST(LoadText, AVocabularySmallerThanTheTokenizersIsAnErrorBeforeWeightsAreRead) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(testing::TempDir()) / "tensormill_small_vocabulary";
  fs::remove_all(folder);
  fs::create_directories(folder);
  fs::copy_file(fs::path(TENSORMILL_GOLDEN) / "models/llama/grouped.config.json",
                folder / "config.json");
  const auto message = [&](int id) {
    std::ofstream(folder / "tokenizer.json")
        << R"({"version": "1.0", "model": {"type": "BPE", "merges": [], "vocab": {"a": 0, "b": )"
        << id << "}}}";
    LoadTextOptions options;
    options.folder = folder;
    try {
      load_text(options);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  // Without weights: the vocabulary is looked at first.
  const std::string text = message(97);
  EXPECT_NE(text.find("config.json: a vocabulary of 97"), text.npos) << text;
  EXPECT_NE(text.find("tokenizer.json, which is 97"), text.npos) << text;
  EXPECT_NE(message(96).find("no weights"), text.npos) << text;
  fs::remove_all(folder);
}

}  // namespace
}  // namespace tensormill
