// Every row of the table that acts: a valid value becomes the effective one through the source that
// people use, and an invalid one is an error that names the key.

#include <fmt/format.h>

#include <map>

#include "config/describe.h"
#include "fixture.h"

namespace tensormill {
namespace {

using testing::HasSubstr;

constexpr auto kServer = SettingScope::kServer;
constexpr auto kModel = SettingScope::kModel;

struct Case {
  std::string valid, effective;
  std::string invalid;  // "" where any text will do
};
// FOLDER stands for a folder that holds models.
const std::map<std::string, Case, std::less<>> kServerCases = {
    {"inference_address", {"http://0.0.0.0:8000", "http://0.0.0.0:8000", "0.0.0.0:8000"}},
    {"management_address", {"unix:/tmp/m", "unix:/tmp/m", "http://h:99999"}},
    {"model_store", {"FOLDER/store", "FOLDER/store", ""}},
    {"load_models", {"NONE", "NONE", "/nowhere"}},
    {"wait_model_loading", {"false", "false", ""}},
    {"allow_multi_status", {"true", "true", ""}},
    {"job_queue_size", {"7", "7", "0"}},
    {"batch_size", {"7", "7", "x"}},
    {"max_batch_delay", {"0", "0", "-1"}},
    {"reserved_memory_mb", {"0", "0", "-1"}},
    {"retry_threshold", {"7", "7", "-1"}},
    {"load_on_devices", {"gpu0", "gpu0", "nc0"}},
    {"max_request_size", {"1000", "1000", "64M"}},
    {"chunked_read_timeout", {"600", "600", "0"}},
    {"cors_allowed_origin", {"*", "*", ""}},
    {"cors_allowed_methods", {"GET", "GET", ""}},
    {"cors_allowed_headers", {"X-Y", "X-Y", ""}},
    {"prometheus", {"true", "true", ""}},
    {"download_dir", {"/d", "/d", ""}},
    {"MODEL_SERVER_HOME", {"FOLDER", "FOLDER", "/nowhere"}},
    {"HF_MODEL_ID", {"FOLDER/m", "FOLDER/m", "/nowhere"}},
    {"HF_REVISION", {"v1", "v1", ""}},
    {"HF_TOKEN", {"hf_x", "hf_x", ""}},
    {"HF_TOKEN_PATH", {"/t", "/t", ""}},
    {"HF_ENDPOINT", {"http://h", "http://h", ""}},
    {"HF_HOME", {"/h", "/h", ""}},
    {"HF_HUB_CACHE", {"/h", "/h", ""}},
    {"HF_HUB_OFFLINE", {"true", "true", ""}},
    {"DJL_CACHE_DIR", {"/d", "/d", ""}},
    {"HF_TASK", {"text-generation", "text-generation", "chess"}},
    {"TENSOR_PARALLEL_DEGREE", {"max", "max", "x"}},
    {"PREDICT_TIMEOUT", {"7", "7", "x"}},
    {"MODEL_LOADING_TIMEOUT", {"7", "7", "0"}},
    {"DJL_OFFLINE", {"true", "true", ""}},
    {"CUDA_VISIBLE_DEVICES", {"0", "0", ""}},
};
const std::map<std::string, Case, std::less<>> kModelCases = {
    {"engine", {"Python", "Python", "Torch"}},
    {"job_queue_size", {"7", "7", "0"}},
    {"batch_size", {"7", "7", "0"}},
    {"max_dynamic_batch_size", {"7", "7", "0"}},
    {"max_batch_delay", {"7", "7", "1s"}},
    {"load_on_devices", {"1", "1", "0;1"}},
    {"gpu.required_memory_mb", {"7", "7", "x"}},
    {"gpu.reserved_memory_mb", {"7", "7", "x"}},
    {"required_memory_mb", {"7", "7", "x"}},
    {"reserved_memory_mb", {"7", "7", "x"}},
    {"retry_threshold", {"7", "7", "x"}},
    {"option.model_id", {"FOLDER/m", "FOLDER/m", "djl://x"}},
    {"option.s3url", {"s3://b/k", "s3://b/k", "/nowhere"}},
    {"option.revision", {"v1", "v1", ""}},
    {"option.variant", {"fp16", "fp16", ""}},
    {"option.model_dir", {"FOLDER/m", "FOLDER/m", "/nowhere"}},
    {"option.entryPoint", {"djl_python.huggingface", "djl_python.huggingface", "x.py"}},
    {"option.rolling_batch", {"deepspeed", "deepspeed", "vllm"}},
    {"option.max_rolling_batch_size", {"7", "7", "many"}},
    {"option.max_rolling_batch_prefill_tokens", {"7", "7", "0"}},
    {"option.tensor_parallel_degree", {"max", "1", "2"}},
    {"option.predict_timeout", {"7", "7", "x"}},
    {"option.model_loading_timeout", {"7", "7", "x"}},
    {"option.task", {"text-generation", "text-generation", "chess"}},
    {"option.dtype", {"bf16", "bf16", "float16"}},
    {"option.variant", {"fp16", "fp16", ""}},
    {"option.max_tokens", {"2048", "2048", "0"}},
    {"option.enable_streaming", {"True", "true", "x"}},
    {"option.batch_size", {"7", "7", "x"}},
    {"option.output_formatter", {"jsonlines", "jsonlines", "xml"}},
    {"option.deepspeed_config_path", {"FOLDER/ds.json", "FOLDER/ds.json", "/nowhere.json"}},
    {"option.device", {"cuda:1", "cuda:1", "cuda:x"}},
    {"option.gpu_memory_utilization", {"0.5", "0.5", "2"}},
    {"option.threads", {"3", "3", "-1"}},
    {"option.cpu_level", {"avx2", "avx2", "mmx"}},
    {"option.random_weights", {"yes", "true", "perhaps"}},
    {"option.inter_token_target_ms", {"250", "250", "-1"}},
    {"option.kv_cache_mb", {"64", "64", "1G"}},
    {"option.enable_cuda_graph", {"false", "false", "maybe"}},
    {"option.quantize", {"dynamic_int8", "dynamic_int8", "int4"}},
    {"option.kv_cache_dtype", {"bfloat16", "bf16", "int4"}},
    {"option.prefix_sharing", {"off", "false", "perhaps"}},
    {"option.error_status", {"1", "true", "perhaps"}},
};

std::string page(const char* name) {
  const auto tests = std::filesystem::path(TENSORMILL_GOLDEN).parent_path();
  std::ifstream in(tests.parent_path() / "docs" / name);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

class EverySetting : public testing::Test {
 protected:
  EverySetting() {
    folder_.model("m");
    folder_.model("store/a");
    folder_.write("ds.json", "{}");
  }

  std::string here(const std::string& text) const {
    constexpr std::string_view kPlace = "FOLDER";
    return text.starts_with(kPlace) ? folder_.str() + text.substr(kPlace.size()) : text;
  }

  // Through config.properties, or the environment for what can't stand there.
  ServerConfig server(const std::string& key, const std::string& value) {
    const bool directory = key == "download_dir";  // the original reads the variable only
    if (key[0] < 'a' || directory) {
      Environment environment{{directory ? "SERVING_DOWNLOAD_DIR" : key, here(value)}};
      if (key == "HF_TASK") environment["HF_MODEL_ID"] = folder_ / "m";
      ServeArguments arguments;
      if (key.find("TIME") != std::string::npos || key == "TENSOR_PARALLEL_DEGREE") {
        arguments.positional = {folder_ / "m"};
      }
      return resolve_server(arguments, environment);
    }
    folder_.write("c.properties", key + "=" + here(value));
    ServeArguments arguments;
    arguments.config_file = folder_ / "c.properties";
    if (key == "load_on_devices") arguments.positional = {folder_ / "m"};
    return resolve_server(arguments, {});
  }

  ModelConfig model(const std::string& key, const std::string& value) {
    folder_.write("own/config.json", "{}");
    folder_.write("own/serving.properties", key + "=" + here(value));
    return resolve(folder_ / "own");
  }

  const Folder folder_;
};

TEST_F(EverySetting, ThatActsIsExercisedHere) {
  for (const Setting& setting : setting_table()) {
    const auto& cases = setting.scope == kServer ? kServerCases : kModelCases;
    EXPECT_EQ(cases.count(setting.key) == 1, setting.effect == SettingEffect::kActs) << setting.key;
  }
}

// A row that says it acts and that nobody reads would be a lie.
TEST_F(EverySetting, ThatActsIsReadSomewhere) {
  const auto root = std::filesystem::path(TENSORMILL_GOLDEN).parent_path().parent_path() / "src";
  std::string code;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    const std::string name = entry.path().filename().string();
    if (entry.path().extension() != ".cc" || name.starts_with("table_")) continue;
    std::ifstream in(entry.path());
    code.append(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  for (const Setting& setting : setting_table()) {
    if (setting.effect != SettingEffect::kActs) continue;
    const bool assembled = setting.key.starts_with("cors_allowed_");
    const std::string wanted = assembled ? "cors_allowed_" : fmt::format("\"{}\"", setting.key);
    EXPECT_NE(code.find(wanted), std::string::npos) << setting.key;
  }
}

TEST_F(EverySetting, OfTheServerActs) {
  for (const auto& [key, row] : kServerCases) {
    SCOPED_TRACE(key);
    const Settings defaults(kServer);
    const Settings settings = server(key, row.valid).settings;
    EXPECT_EQ(settings.text(key), here(row.effective));
    EXPECT_NE(settings.text(key), defaults.text(key));
    EXPECT_THAT(settings.value(key).source,
                testing::AnyOf(key, "SERVING_DOWNLOAD_DIR", HasSubstr("c.properties:1")));
    if (row.invalid.empty()) continue;
    const Failure failure = failure_of([&, &name = key, &bad = row] { server(name, bad.invalid); });
    EXPECT_THAT(failure.message, HasSubstr(row.invalid));
    // An item is named as what it is: one of several in load_models.
    if (key != "load_models") {
      EXPECT_THAT(failure.message, HasSubstr(key));
    }
  }
}

TEST_F(EverySetting, OfAModelActs) {
  for (const auto& [key, row] : kModelCases) {
    SCOPED_TRACE(key);
    const Settings defaults(kModel);
    const Settings settings = model(key, row.valid).settings;
    EXPECT_EQ(settings.text(key), here(row.effective));
    // One rank is all there is on a CPU, so there the source must do.
    if (key != "option.tensor_parallel_degree") {
      EXPECT_NE(settings.text(key), defaults.text(key));
    }
    EXPECT_THAT(settings.value(key).source, HasSubstr("serving.properties:1"));
    if (row.invalid.empty()) continue;
    const Failure failure = failure_of([&, &name = key, &bad = row] { model(name, bad.invalid); });
    EXPECT_THAT(failure.message, HasSubstr(key));
    EXPECT_THAT(failure.message, HasSubstr("=" + row.invalid + " ("));
    EXPECT_THAT(failure.message, HasSubstr("serving.properties:1"));
  }
}

TEST_F(EverySetting, StandsInTheDocumentation) {
  const std::string text = page("configuration.md");
  EXPECT_NE(text.find(settings_markdown()), std::string::npos)
      << "replace the tables of docs/configuration.md by the output of "
         "`tensormill serve --print-settings`";
}

TEST_F(EverySetting, ThatIsRefusedIsExplained) {
  const std::string text = page("compatibility.md");
  for (const Setting& setting : setting_table()) {
    if (setting.effect != SettingEffect::kRefused) continue;
    EXPECT_THAT(text, HasSubstr(fmt::format("`{}`", setting.key)));
  }
}

}  // namespace
}  // namespace tensormill
