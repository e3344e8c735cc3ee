// What -o and the flags of a command say of its model.

#include "cli/load_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace tensormill {
namespace {

using testing::HasSubstr;

ModelChoices choose(std::vector<std::pair<std::string, std::string>> options) {
  CommonOptions common;
  common.options = std::move(options);
  return choose_model(common, false, {"option.max_tokens"});
}

void expect_error(const std::string& key, const std::string& value, ErrorKind kind,
                  const std::string& part) {
  try {
    choose({{key, value}});
    ADD_FAILURE() << key << " is taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(key));
    EXPECT_THAT(error.what(), HasSubstr(part));
  }
}

TEST(ChooseModel, OptionsAct) {
  const ModelChoices choices = choose({{"option.threads", "3"},
                                       {"option.cpu_level", "portable"},
                                       {"option.dtype", "fp16"},
                                       {"option.random_weights", "true"},
                                       {"option.device", "cpu"},
                                       {"option.quantize", "dynamic_int8"},
                                       {"option.kv_cache_dtype", "float16"},
                                       {"option.max_tokens", "77"}});
  EXPECT_EQ(choices.common.threads, 3);
  EXPECT_EQ(choices.common.cpu_level, "portable");
  EXPECT_EQ(choose_format(choices.common), WeightFormat::kF16);
  EXPECT_TRUE(choices.random_weights);
  EXPECT_EQ(choices.common.device, "cpu");
  EXPECT_EQ(choose_quantization(choices.common), Quantization::kDynamicInt8);
  EXPECT_EQ(choices.cache_type(), DType::kF16);
  EXPECT_EQ(choices.settings.integer("option.max_tokens"), 77);
}

TEST(ChooseModel, FlagsWin) {
  CommonOptions common;
  common.options = {
      {"option.threads", "3"}, {"option.dtype", "bf16"}, {"option.kv_cache_dtype", "f32"}};
  common.kv_cache_dtype = "int8";
  common.threads = 2;
  common.dtype = "f32";
  const ModelChoices choices = choose_model(common, true);
  EXPECT_EQ(choices.common.threads, 2);
  EXPECT_EQ(choose_format(choices.common), WeightFormat::kF32);
  EXPECT_EQ(choices.cache_type(), DType::kI8);
  EXPECT_TRUE(choices.random_weights);
}

TEST(ChooseModel, CacheOfTheWeightsType) {
  EXPECT_FALSE(choose({}).cache_type().has_value());
  EXPECT_FALSE(choose({{"option.kv_cache_dtype", "auto"}}).cache_type().has_value());
  CommonOptions common;
  common.kv_cache_dtype = "fp9";
  try {
    choose_model(common, false);
    FAIL() << "taken";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("option.kv_cache_dtype=fp9 (--kv-cache-dtype): expected"));
  }
}

TEST(ChooseModel, LaterOptionsWin) {
  const ModelChoices choices = choose({{"option.dtype", "bf16"}, {"option.dtype", "f32"}});
  EXPECT_EQ(choose_format(choices.common), WeightFormat::kF32);
}

TEST(ChooseModel, WhatDoesNotActHereIsRefusedByName) {
  constexpr auto kBad = ErrorKind::kBadRequest;
  expect_error("option.enable_streaming", "true", kBad, "this command reads option.cpu_level");
  expect_error("option.surprise", "1", kBad, "option.max_tokens");
  expect_error("max_tokens", "1", kBad, "option.max_tokens");
  expect_error("option.quantize", "smoothquant", ErrorKind::kUnsupported, "SmoothQuant");
  expect_error("option.threads", "many", ErrorKind::kConfigInvalid, "many");
  expect_error("option.dtype", "fp7", ErrorKind::kConfigInvalid, "fp7");
  expect_error("option.quantize", "int4", ErrorKind::kConfigInvalid, "dynamic_int8");
  CommonOptions flag;
  flag.quantize = "int4";
  EXPECT_THROW(choose_quantization(flag), Error);
}

}  // namespace
}  // namespace tensormill
