#include "tasks/generation_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"

namespace tensormill {
namespace {

class GenerationConfig : public testing::Test {
 protected:
  GenerationConfig() : folder_(std::filesystem::path(testing::TempDir()) / "generation_config") {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~GenerationConfig() override { std::filesystem::remove_all(folder_); }
  void write(const char* name, std::string_view text) const {
    std::ofstream(folder_ / name) << text;
  }
  GenerationDefaults read() const { return read_generation_defaults(folder_, 100); }

 private:
  std::filesystem::path folder_;
};

TEST_F(GenerationConfig, NoFileNoDefaults) {
  EXPECT_FALSE(read().do_sample.has_value());
  EXPECT_FALSE(read().max_length.has_value());
  EXPECT_EQ(read().rules, nullptr);
}

TEST_F(GenerationConfig, TheFileReplacesWhatConfigSays) {
  write("config.json", R"({"model_type": "x", "do_sample": true, "max_length": 33})");
  GenerationDefaults defaults = read();
  EXPECT_EQ(defaults.do_sample, true);
  EXPECT_EQ(defaults.max_length, 33);
  EXPECT_FALSE(defaults.temperature.has_value());
  write("generation_config.json",
        R"({"temperature": 0.6, "top_p": 0.9, "top_k": null, "stop_strings": "x", "min_length": 2,
            "max_new_tokens": 9, "repetition_penalty": 1.05, "transformers_version": "4",
            "suppress_tokens": [1, 100], "bad_words_ids": [[5, 6], [7]], "forced_eos_token_id": 2,
            "forced_bos_token_id": [3], "begin_suppress_tokens": [4, 8], "num_beams": 4})");
  defaults = read();
  EXPECT_FALSE(defaults.do_sample.has_value());
  EXPECT_FALSE(defaults.max_length.has_value());
  EXPECT_FALSE(defaults.top_k.has_value());
  EXPECT_EQ(defaults.temperature, 0.6f);
  EXPECT_EQ(defaults.top_p, 0.9f);
  EXPECT_EQ(defaults.max_new_tokens, 9);
  EXPECT_EQ(defaults.min_length, 2);
  EXPECT_EQ(defaults.repetition_penalty, 1.05f);
  EXPECT_THAT(defaults.stop_strings, testing::ElementsAre("x"));
  ASSERT_NE(defaults.rules, nullptr);
  using Words = std::vector<std::vector<int32_t>>;
  EXPECT_EQ(defaults.rules->bad_words, (Words{{5, 6}, {7}}));
  EXPECT_THAT(defaults.rules->suppressed, testing::ElementsAre(1, 100));
  EXPECT_THAT(defaults.rules->begin_suppressed, testing::ElementsAre(4, 8));
  EXPECT_THAT(defaults.rules->second, testing::ElementsAre(3));
  EXPECT_THAT(defaults.rules->last, testing::ElementsAre(2));
}

TEST_F(GenerationConfig, BadValuesNameFileAndKey) {
  for (const char* text :
       {R"({"top_p": "high"})", R"({"top_p": 2})", R"({"do_sample": 1})",
        R"({"max_new_tokens": -1})", R"({"stop_strings": [1]})", R"({"bad_words_ids": [1]})",
        R"({"bad_words_ids": [[]]})", R"({"bad_words_ids": [[1, 100]]})",
        R"({"forced_eos_token_id": 100})", R"({"forced_bos_token_id": "x"})"}) {
    write("generation_config.json", text);
    try {
      read();
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kArtifactInvalid);
      EXPECT_THAT(error.what(), testing::HasSubstr("generation_config.json"));
    }
  }
}

}  // namespace
}  // namespace tensormill
