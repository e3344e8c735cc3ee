#include "config/settings.h"

#include <set>

#include "config/rules.h"
#include "fixture.h"

namespace tensormill {
namespace {

using testing::HasSubstr;

TEST(SettingTable, HasNoKeyTwiceAndValidDefaults) {
  std::set<std::pair<SettingScope, std::string_view>> seen;
  for (const Setting& setting : setting_table()) {
    EXPECT_TRUE(seen.emplace(setting.scope, setting.key).second) << setting.key;
    EXPECT_FALSE(setting.help.empty()) << setting.key;
    EXPECT_EQ(find_setting(setting.scope, setting.key), &setting);
    if (setting.default_value.empty()) continue;
    EXPECT_EQ(checked_value(setting, setting.default_value, "label"), setting.default_value)
        << setting.key;
  }
}

TEST(Settings, TypedGettersKnowTheDefaults) {
  const Settings settings(SettingScope::kModel);
  EXPECT_EQ(settings.integer("option.max_tokens"), 1024);
  EXPECT_EQ(settings.integer("option.max_rolling_batch_size"), 32);
  EXPECT_EQ(settings.text("option.enable_streaming"), "false");
  EXPECT_TRUE(settings.flag("option.prefix_sharing"));
  EXPECT_EQ(settings.value("option.max_tokens").source, "default");
  EXPECT_FALSE(settings.is_set("option.max_tokens"));
}

TEST(Settings, AskingForAnUnknownKeyIsABrokenInvariant) {
  const Settings settings(SettingScope::kModel);
  EXPECT_THROW(settings.text("option.nope"), std::logic_error);
  EXPECT_THROW(settings.text("inference_address"), std::logic_error);
  EXPECT_THROW(settings.integer("option.dtype"), std::logic_error);
  EXPECT_THROW(settings.flag("option.max_tokens"), std::logic_error);
}

TEST(Settings, LaterValuesWinAndEmptyOnesTakeBack) {
  Settings settings(SettingScope::kModel);
  settings.set("option.max_tokens", "10", "a");
  settings.set("option.max_tokens", " 20\t", "b");
  EXPECT_EQ(settings.integer("option.max_tokens"), 20);
  EXPECT_EQ(settings.value("option.max_tokens").source, "b");
  settings.set("option.max_tokens", " ", "c");
  EXPECT_EQ(settings.integer("option.max_tokens"), 1024);
}

struct BadValue {
  const char *key, *value, *message;
};

TEST(Settings, ABadValueNamesKeyValueSourceAndWhatIsAllowed) {
  const BadValue cases[] = {
      {"option.max_tokens", "many",
       "option.max_tokens=many (m.properties:3): expected an integer from 1"},
      {"option.max_tokens", "0", "expected an integer from 1"},
      {"option.max_tokens", "1.5", "expected an integer from 1"},
      {"option.max_tokens", "99999999999999999999", "expected an integer from 1"},
      {"option.max_tokens", "2147483648", "expected an integer from 1"},
      {"option.threads", "-1", "expected an integer from 0 to 4096"},
      {"option.dtype", "float16",
       "option.dtype=float16 (m.properties:3): Invalid data type: float16; expected one of "
       "fp32|fp16|bf16|int8"},
      {"option.quantize", "int4", "expected one of smoothquant|dynamic_int8"},
      {"option.kv_cache_dtype", "int4", "expected one of auto|bf16|f16|f32|int8"},
      {"option.rolling_batch", "AUTO",
       "deepspeed engine only supports rolling batch type ['auto', 'deepspeed']."},
      {"option.task", "chess", "task: chess is not currently supported by DeepSpeed"},
      {"option.enable_streaming", "maybe", "expected one of false|true|huggingface"},
      {"option.prefix_sharing", "maybe", "value could not be parsed to a boolean"},
      {"option.smoothquant_alpha", "1.5", "expected a number from 0 to 1"},
      {"option.smoothquant_alpha", "nan", "expected a number from 0 to 1"},
      {"option.device", "tpu", "expected auto, cpu, cuda or cuda:N"},
      {"load_on_devices", "moon", "expected *, cpu, -1, gpuN or N"},
      {"engine", "deepspeed", "expected one of DeepSpeed|MPI|Python"},
      {"option.tensor_parallel_degree", "all", "expected an integer from 1 or max"},
      {"option.tensor_parallel_degree", "0", "expected an integer from 1 or max"},
  };
  for (const BadValue& bad : cases) {
    Settings settings(SettingScope::kModel);
    const Failure failure = failure_of([&] { settings.set(bad.key, bad.value, "m.properties:3"); });
    EXPECT_THAT(failure.message, HasSubstr(bad.message));
    EXPECT_THAT(failure.message, HasSubstr(std::string(bad.key) + "=" + bad.value));
    EXPECT_EQ(failure.kind, ErrorKind::kConfigInvalid) << bad.key;
    EXPECT_TRUE(settings.explicit_values().empty());
  }
}

TEST(Settings, CacheTypesOfOtherEngines) {
  const std::pair<const char*, const char*> cases[] = {
      {"auto", "auto"}, {"bfloat16", "bf16"}, {"float16", "f16"},
      {"fp16", "f16"},  {"half", "f16"},      {"float32", "f32"},
      {"fp32", "f32"},  {"float", "f32"},     {"int8", "int8"}};
  for (const auto& [typed, kept] : cases) {
    Settings settings(SettingScope::kModel);
    settings.set("option.kv_cache_dtype", typed, "m.properties:3");
    EXPECT_EQ(settings.text("option.kv_cache_dtype"), kept);
  }
}

TEST(Settings, WhatThisBuildLacksIsRefusedByName) {
  const BadValue cases[] = {
      {"option.dtype", "int8", "option.quantize=dynamic_int8"},
      {"option.quantize", "smoothquant", "SmoothQuant"},
      {"option.kv_cache_dtype", "fp8_e5m2", "use int8"},
      {"option.smoothquant_alpha", "0.5", "SmoothQuant"},
      {"option.checkpoint", "ds_inference_config.json", "Hugging Face folder"},
      {"option.save_mp_checkpoint_path", "/out", "Hugging Face folder"},
      {"option.tensor_parallel_degree", "2", "one process"},
      {"option.task", "fill-mask", "generates text"},
      {"option.entryPoint", "djl_python.stable-diffusion", "images"},
      {"option.entryPoint", "model.py", "Python handlers"},
      {"load_on_devices", "nc0", "one GPU"},
      {"load_on_devices", "gpu0;gpu1", "one copy of a model"},
      {"maxWorkers", "2", "one copy"},
      {"gpu.maxWorkers", "2", "one copy"},
      {"log_request_metric", "true", "metrics"},
  };
  for (const BadValue& bad : cases) {
    Settings settings(SettingScope::kModel);
    const Failure failure = failure_of([&] { settings.set(bad.key, bad.value, "src"); });
    EXPECT_THAT(failure.message, HasSubstr(std::string(bad.key) + "=" + bad.value +
                                           " (src) is not supported yet by this build: "));
    EXPECT_THAT(failure.message, HasSubstr(bad.message));
    EXPECT_EQ(failure.kind, ErrorKind::kUnsupported) << bad.key;
  }
}

TEST(Settings, EveryRefusedRowAcceptsWhatAsksForNothing) {
  for (const Setting& setting : setting_table()) {
    if (setting.effect != SettingEffect::kRefused) continue;
    Settings settings(setting.scope);
    settings.set(setting.key, "", "src");
    settings.set(setting.key, setting.default_value, "src");
  }
}

TEST(Settings, BooleansOfTheHandlerAreStrictAndOfTheServerAreNot) {
  Settings model(SettingScope::kModel), server(SettingScope::kServer);
  for (const char* yes : {"1", "on", "T", "TRUE", "y", "Yes"}) {
    model.set("option.random_weights", yes, "src");
    EXPECT_TRUE(model.flag("option.random_weights")) << yes;
  }
  for (const char* no : {"0", "Off", "f", "False", "n", "NO"}) {
    model.set("option.random_weights", no, "src");
    EXPECT_FALSE(model.flag("option.random_weights")) << no;
  }
  server.set("wait_model_loading", "TRUE", "src");
  EXPECT_TRUE(server.flag("wait_model_loading"));
  for (const char* no : {"yes", "1", "on", "nonsense"}) {
    server.set("wait_model_loading", no, "src");
    EXPECT_FALSE(server.flag("wait_model_loading")) << no;
  }
}

TEST(Settings, MessagesShowNoSecretsNoControlCharactersAndNoEndlessTexts) {
  Settings server(SettingScope::kServer), model(SettingScope::kModel);
  EXPECT_THAT(failure_of([&] { server.set("keystore_pass", "hunter2", "src"); }).message,
              testing::StartsWith("keystore_pass=*** (src) is not supported yet"));
  EXPECT_EQ(shown_value("HF_TOKEN", "x"), "***");
  EXPECT_EQ(shown_value("option.env", "A=b"), "***");
  EXPECT_EQ(shown_value("option.max_tokens", "5"), "5");
  EXPECT_THAT(failure_of([&] { model.set("option.dtype", "a\nb", "src"); }).message,
              HasSubstr("option.dtype=a?b (src)"));
  EXPECT_LT(
      failure_of([&] { model.set("option.dtype", std::string(9999, 'x'), "src"); }).message.size(),
      1000u);
}

TEST(Settings, StreamingHasThreeStatesInAnyCase) {
  Settings settings(SettingScope::kModel);
  settings.set("option.enable_streaming", "True", "src");
  EXPECT_EQ(settings.text("option.enable_streaming"), "true");
  settings.set("option.enable_streaming", "HuggingFace", "src");
  EXPECT_EQ(settings.text("option.enable_streaming"), "huggingface");
}

TEST(Settings, MaxRanksIsOneAndSaidOnce) {
  const Log log;
  Settings settings(SettingScope::kModel);
  settings.set("option.tensor_parallel_degree", "max", "max-test");
  settings.set("option.tensor_parallel_degree", "max", "max-test");
  EXPECT_EQ(settings.integer("option.tensor_parallel_degree"), 1);
  const std::string line =
      "option.tensor_parallel_degree=max (max-test) is 1: a model runs on one device";
  const size_t first = log.str().find(line);
  ASSERT_NE(first, std::string::npos) << log.str();
  EXPECT_EQ(log.str().find(line, first + 1), std::string::npos);
}

TEST(Settings, AnUnknownKeyWarnsOnceWithTheNearestOne) {
  const Log log;
  Settings settings(SettingScope::kModel);
  settings.set("option.max_token", "5", "unknown-test");
  settings.set("option.max_token", "5", "unknown-test");
  settings.set("option.zzzzzzzzzzzzzzzzzzz", "5", "unknown-test");
  settings.set("option.job_queue_size", "5", "unknown-test");
  settings.set(std::string(5000, 'x'), "5", "unknown-test");
  const std::string line =
      "option.max_token (unknown-test): unknown setting, ignored; did you mean option.max_tokens?";
  const size_t first = log.str().find(line);
  ASSERT_NE(first, std::string::npos) << log.str();
  EXPECT_EQ(log.str().find(line, first + 1), std::string::npos);
  EXPECT_THAT(log.str(), HasSubstr("ignored; did you mean job_queue_size?"));
  EXPECT_THAT(log.str(),
              HasSubstr("option.zzzzzzzzzzzzzzzzzzz (unknown-test): unknown setting, ignored\n"));
}

TEST(Settings, EveryRowWithoutEffectSaysSoOnce) {
  for (const Setting& setting : setting_table()) {
    if (setting.effect != SettingEffect::kNoEffect) continue;
    const Log log;
    const std::string value = setting.type == SettingType::kFlag      ? "true"
                              : setting.type == SettingType::kInteger ? "2"
                                                                      : "text";
    Settings settings(setting.scope);
    const std::string key = setting.key.ends_with('*')
                                ? std::string(setting.key.substr(0, setting.key.size() - 1)) + "x"
                                : std::string(setting.key);
    // The same key may stand in both scopes with the same words.
    const std::string source =
        setting.scope == SettingScope::kServer ? "server-test" : "model-test";
    for (int twice = 0; twice < 2; ++twice) settings.set(key, value, source);
    const std::string shown = shown_value(setting.key, value);
    const std::string line = key + "=" + shown + " (" + source + ") has no effect: ";
    const size_t first = log.str().find(line);
    ASSERT_NE(first, std::string::npos) << line << log.str();
    EXPECT_EQ(log.str().find(line, first + 1), std::string::npos);
  }
}

}  // namespace
}  // namespace tensormill
