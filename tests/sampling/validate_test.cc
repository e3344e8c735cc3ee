#include "sampling/validate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"

namespace tensormill {
namespace {

TEST(ValidateSampling, NamesTheFieldAndTheValue) {
  struct Case {
    const char* field;
    std::function<void(SamplingParams&)> set;
  };
  const std::vector<Case> cases = {
      {"temperature", [](auto& p) { p.temperature = -1; }},
      {"temperature", [](auto& p) { p.temperature = std::nanf(""); }},
      {"temperature", [](auto& p) { p.temperature = INFINITY; }},
      {"temperature", [](auto& p) { p.sample = true, p.temperature = 0; }},
      {"top_k", [](auto& p) { p.top_k = -1; }},
      {"top_p", [](auto& p) { p.top_p = 0; }},
      {"top_p", [](auto& p) { p.top_p = 1.01f; }},
      {"top_p", [](auto& p) { p.top_p = std::nanf(""); }},
      {"typical_p", [](auto& p) { p.typical_p = -0.5f; }},
      {"min_p", [](auto& p) { p.min_p = 2; }},
      {"repetition_penalty", [](auto& p) { p.repetition_penalty = 0; }},
      {"repetition_penalty", [](auto& p) { p.repetition_penalty = INFINITY; }},
      {"presence_penalty", [](auto& p) { p.presence_penalty = 3; }},
      {"frequency_penalty", [](auto& p) { p.frequency_penalty = -2.5f; }},
      {"no_repeat_ngram_size", [](auto& p) { p.no_repeat_ngram_size = -2; }},
  };
  for (const Case& c : cases) {
    SamplingParams params;
    c.set(params);
    try {
      validate(params);
      ADD_FAILURE() << c.field << " was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadRequest);
      EXPECT_TRUE(std::string(error.what()).starts_with(std::string(c.field) + ": "))
          << error.what();
    }
  }
  EXPECT_NO_THROW(validate(SamplingParams{}));
  SamplingParams greedy;
  greedy.temperature = 0;
  EXPECT_NO_THROW(validate(greedy));
}

}  // namespace
}  // namespace tensormill
