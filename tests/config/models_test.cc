// Which models a configuration loads, under which names and in which mode.

#include "config/configuration.h"
#include "fixture.h"

namespace tensormill {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> names(const ServerConfig& config) {
  std::vector<std::string> result;
  for (const ModelConfig& model : config.models) result.push_back(model.name);
  return result;
}

TEST(StartupModels, ItemsWithNamesVersionsEnginesDevices) {
  const Folder folder;
  const std::string a = folder.model("a"), b = folder.model("b");
  ServeArguments arguments;
  arguments.models = {"x:1:MPI:cpu=file:" + a + "/", "x:2=" + a + "," + b};
  const ServerConfig config = resolve_server(arguments, {});
  ASSERT_THAT(names(config), ElementsAre("x", "x", "b"));
  EXPECT_EQ(config.models[0].version, "1");
  EXPECT_EQ(config.models[0].url, "file:" + a + "/");
  EXPECT_EQ(config.models[0].settings.text("engine"), "MPI");
  EXPECT_EQ(config.models[0].settings.text("load_on_devices"), "cpu");
  EXPECT_EQ(config.models[1].version, "2");
  EXPECT_TRUE(config.models[0].loaded_at_startup);
  arguments.models = {"x=" + a, "x=" + b};
  EXPECT_EQ(failure_of([&] { resolve_server(arguments, {}); }).kind, ErrorKind::kConflict);
}

TEST(StartupModels, PositionalModelsAreTheList) {
  const Folder folder;
  const std::string a = folder.model("Llama-2.7b"), b = folder.model("b=c"), c = folder.model("c");
  ServeArguments arguments;
  arguments.positional = {a, b, "named=" + c};
  const Environment environment{{"HF_MODEL_ID", "x/y"}, {"SERVING_LOAD_MODELS", "nothing"}};
  const ServerConfig config = resolve_server(arguments, environment);
  EXPECT_THAT(names(config), ElementsAre("Llama_2_7b", "b_c", "named"));
  EXPECT_EQ(config.models[0].mode(), ServingMode::kRolling);
  arguments.models = {"more=" + c};
  EXPECT_EQ(resolve_server(arguments, environment).models.size(), 4u);
}

TEST(StartupModels, AllNoneAndLists) {
  const Folder folder;
  folder.model("store/a");
  folder.model("store/b");
  const auto load = [&](const std::string& models) {
    Environment environment{{"SERVING_MODEL_STORE", folder / "store"}};
    if (!models.empty()) environment["SERVING_LOAD_MODELS"] = models;
    return names(resolve_server({}, environment));
  };
  EXPECT_THAT(load(""), ElementsAre("a", "b"));
  EXPECT_THAT(load("all"), ElementsAre("a", "b"));
  EXPECT_THAT(load("None"), ElementsAre());
  EXPECT_THAT(load("a, x=b"), ElementsAre("a", "x"));
  EXPECT_THAT(names(resolve_server({}, {})), ElementsAre());
}

TEST(StartupModels, HubVariableAddsAModel) {
  const Folder folder;
  const std::string model = folder.model("store/m", "option.max_tokens=7");
  folder.model("store/n");
  Environment environment{{"HF_MODEL_ID", model},
                          {"HF_TASK", "text-generation"},
                          {"SERVING_MODEL_STORE", folder / "store"},
                          {"OPTION_MAX_ROLLING_BATCH_SIZE", "4"}};
  const ServerConfig config = resolve_server({}, environment);
  ASSERT_EQ(config.models.size(), 2u);
  EXPECT_EQ(config.models[0].name, "n");
  const ModelConfig& hub = config.models[1];
  EXPECT_THAT(hub.name, testing::MatchesRegex("_.*_store_m"));
  EXPECT_EQ(hub.model_folder, model);
  EXPECT_EQ(hub.settings.value("option.task").source, "HF_TASK");
  EXPECT_EQ(hub.settings.value("option.model_id").source, "HF_MODEL_ID");
  EXPECT_EQ(hub.settings.integer("option.max_tokens"), 1024);
  EXPECT_EQ(hub.settings.integer("option.max_rolling_batch_size"), 4);
  environment["SERVING_LOAD_MODELS"] = "NONE";
  EXPECT_TRUE(resolve_server({}, environment).models.empty());
  const ServerConfig named = resolve_server(
      {}, {{"HF_MODEL_ID", "org/m"}, {"HF_REVISION", "v1"}, {"SERVING_LOAD_MODELS", "ALL"}});
  ASSERT_EQ(named.models.size(), 1u);
  EXPECT_EQ(named.models[0].name, "org_m");
  EXPECT_EQ(named.models[0].source, "org/m");
  EXPECT_EQ(named.models[0].url, "org/m");
  EXPECT_TRUE(named.models[0].model_folder.empty());
  EXPECT_EQ(named.models[0].settings.text("option.revision"), "v1");
  const Failure failure = failure_of([] { resolve_server({}, {{"HF_MODEL_ID", "/none"}}); });
  EXPECT_EQ(failure.kind, ErrorKind::kNotFound);
  EXPECT_THAT(failure.message, HasSubstr("HF_MODEL_ID=/none: no such folder"));
}

TEST(StartupModels, PositionalModelsOfTheHub) {
  const Folder folder;
  ServeArguments arguments;
  arguments.positional = {"org/some.model", "x=name"};
  arguments.options = {{"--revision", "v2"}};
  const ServerConfig config = resolve_server(arguments, {});
  EXPECT_THAT(names(config), ElementsAre("some_model", "x"));
  EXPECT_EQ(config.models[0].source, "org/some.model");
  EXPECT_EQ(config.models[0].settings.text("option.revision"), "v2");
  EXPECT_EQ(config.models[1].source, "name");
  arguments.positional = {"./none/here"};
  EXPECT_EQ(failure_of([&] { resolve_server(arguments, {}); }).kind, ErrorKind::kNotFound);
}

TEST(Model, FolderOfWeights) {
  const Folder folder;
  const std::string weights = folder.model("weights");
  folder.write("m/serving.properties", "option.model_id=" + weights);
  EXPECT_EQ(resolve(folder / "m").model_folder, weights);
  EXPECT_EQ(resolve(folder / "m").directory, folder / "m");
  folder.write("m/serving.properties", "option.model_id=file:" + weights + "/");
  EXPECT_EQ(resolve(folder / "m").model_folder, weights);
  folder.write("m/serving.properties", "option.model_id=weights");
  EXPECT_EQ(resolve(folder / "m", {{"MODEL_SERVER_HOME", folder.str()}}).model_folder, weights);
  for (const char* id : {"s3://bucket/x", "org/model", "https://h/x"}) {
    folder.write("m/serving.properties", std::string("option.model_id=") + id);
    EXPECT_EQ(resolve(folder / "m").source, id);
    EXPECT_TRUE(resolve(folder / "m").model_folder.empty());
  }
  for (const char* id : {"djl://x", "/none"}) {
    folder.write("m/serving.properties", std::string("option.model_id=") + id);
    EXPECT_THAT(failure_of([&] { resolve(folder / "m"); }).message,
                HasSubstr(std::string("option.model_id=") + id + " (" +
                          (folder / "m/serving.properties:1") + ")"));
  }
}

TEST(Model, FolderThatIsNone) {
  const Folder folder;
  folder.write("m/readme.txt", "");
  const Failure failure = failure_of([&] { resolve(folder / "m"); });
  EXPECT_EQ(failure.kind, ErrorKind::kNotFound);
  EXPECT_THAT(failure.message,
              HasSubstr("Failed to detect engine of the model: " + (folder / "m")));
}

TEST(Model, ScriptsAreRefused) {
  const Folder folder;
  const std::string path = folder.model("m");
  folder.write("m/model.py", "");
  EXPECT_EQ(failure_of([&] { resolve(path); }).kind, ErrorKind::kUnsupported);
  resolve(path, {{"OPTION_ENTRYPOINT", "djl_python.deepspeed"}});
}

TEST(Model, RequestNamesIt) {
  const Folder folder;
  const ModelConfig model = resolve(folder.model("m"), {},
                                    {{"url", "ignored"},
                                     {"model_name", "other"},
                                     {"model_version", "v2"},
                                     {"device", "cpu"},
                                     {"min_worker", "1"},
                                     {"synchronous", "false"},
                                     {"batch_size", "3"}});
  EXPECT_EQ(model.name, "other");
  EXPECT_EQ(model.version, "v2");
  EXPECT_EQ(model.settings.text("load_on_devices"), "cpu");
  EXPECT_EQ(model.settings.value("batch_size").source, "load request");
  EXPECT_THAT(failure_of([&] {
                resolve(folder / "m", {}, {{"max_worker", "2"}});
              }).message,
              HasSubstr("maxWorkers=2 (load request) is not supported yet"));
}

TEST(Mode, FollowsEngineRollingBatchAndBatchSize) {
  const Folder folder;
  const auto mode = [&](const std::string& properties) {
    return resolve(folder.model("m", "# \n" + properties)).mode();
  };
  constexpr auto kRolling = ServingMode::kRolling, kDynamic = ServingMode::kDynamic;
  EXPECT_EQ(mode(""), kRolling);
  EXPECT_EQ(mode("batch_size=2"), kDynamic);
  EXPECT_EQ(mode("option.rolling_batch=auto"), kRolling);
  EXPECT_EQ(mode("option.rolling_batch=auto\nbatch_size=2"), kDynamic);
  EXPECT_EQ(mode("option.rolling_batch=deepspeed\nbatch_size=2"), kRolling);
  EXPECT_EQ(mode("option.rolling_batch=disable"), kDynamic);
  for (const std::string engine : {"DeepSpeed", "MPI", "Python"}) {
    EXPECT_EQ(mode("engine=" + engine), kDynamic);
    EXPECT_EQ(mode("engine=" + engine + "\noption.rolling_batch=deepspeed"), kRolling);
    EXPECT_EQ(mode("engine=" + engine + "\nrolling_batch=auto"), kRolling);
  }
}

TEST(Mode, StreamingDoesNotGoWithDynamicBatches) {
  const Folder folder;
  const auto fail = [&](const std::string& properties) {
    return failure_of([&] { resolve(folder.model("m", properties)); }).message;
  };
  EXPECT_THAT(fail("option.enable_streaming=true\nbatch_size=2"),
              HasSubstr("We cannot enable streaming for dynamic batching"));
  EXPECT_THAT(fail("engine=MPI\noption.enable_streaming=true\noption.batch_size=2"),
              HasSubstr("We cannot enable streaming for dynamic batching"));
  resolve(folder.model("m", "engine=MPI\noption.enable_streaming=true"));
  resolve(folder.model("m", "option.enable_streaming=true\noption.batch_size=2"));
}

// The two starter configurations of the DeepSpeed user guide, with a folder as model.
TEST(QuickStart, ServingProperties) {
  const Folder folder;
  const std::string weights = folder.model("weights");
  folder.write("m/serving.properties",
               "engine=MPI\noption.entryPoint=djl_python.deepspeed\n"
               "option.tensor_parallel_degree=max\noption.rolling_batch=deepspeed\n"
               "option.model_id=" +
                   weights +
                   "\n# Adjust the following based on model size and instance type\n"
                   "option.max_rolling_batch_size=64\n");
  ServeArguments arguments;
  arguments.models = {"test=file:" + (folder / "m/")};
  const ServerConfig config = resolve_server(arguments, {});
  ASSERT_THAT(names(config), ElementsAre("test"));
  EXPECT_EQ(config.models[0].mode(), ServingMode::kRolling);
  EXPECT_EQ(config.models[0].model_folder, weights);
  EXPECT_EQ(config.models[0].settings.integer("option.max_rolling_batch_size"), 64);
}

TEST(QuickStart, Environment) {
  const Folder folder;
  const std::string weights = folder.model("weights");
  const ServerConfig config = resolve_server({}, {{"HF_MODEL_ID", weights},
                                                  {"OPTION_ENTRYPOINT", "djl_python.deepspeed"},
                                                  {"TENSOR_PARALLEL_DEGREE", "max"},
                                                  {"OPTION_ROLLING_BATCH", "deepspeed"},
                                                  {"OPTION_MAX_ROLLING_BATCH_SIZE", "64"}});
  ASSERT_EQ(config.models.size(), 1u);
  EXPECT_EQ(config.models[0].mode(), ServingMode::kRolling);
  EXPECT_EQ(config.models[0].model_folder, weights);
  EXPECT_EQ(config.models[0].settings.integer("option.max_rolling_batch_size"), 64);
}

TEST(DeepSpeedConfig, ReplacesTheKeysOfTheEngine) {
  const Folder folder;
  folder.write("m/ds.json", R"({"dtype": "torch.float16", "tp": {"tp_size": 1}, "zero": {},
                                "max_out_tokens": 77, "moe": "auto", "checkpoint": null})");
  const ModelConfig model = resolve(folder.model(
      "m",
      "option.deepspeed_config_path=ds.json\noption.max_tokens=5\noption.quantize=smoothquant"));
  EXPECT_EQ(model.settings.text("option.dtype"), "fp16");
  EXPECT_EQ(model.settings.integer("option.max_tokens"), 77);
  EXPECT_THAT(model.settings.value("option.max_tokens").source,
              testing::EndsWith("ds.json max_out_tokens"));
  const std::pair<const char*, const char*> bad[] = {
      {R"({"unheard": 1})", "unknown key unheard"},
      {R"({"mp_size": "2"})", "mp_size: expected an integer"},
      {R"({"mp_size": 2})", "option.tensor_parallel_degree=2"},
      {R"({"dtype": "int8"})", "option.dtype=int8"},
      {R"({"dtype": 5})", "dtype: expected a text"},
      {R"({"tensor_parallel": 5})", "tensor_parallel: expected an object"},
      {R"({"checkpoint": "x.json"})", "option.checkpoint=x.json"},
      {R"([])", "expected a JSON object"},
      {R"({)", "ds.json"},
  };
  for (const auto& [text, message] : bad) {
    folder.write("m/ds.json", text);
    EXPECT_THAT(failure_of([&] { resolve(folder / "m"); }).message, HasSubstr(message)) << text;
  }
  folder.write("m/ds.json", R"({"quant": {"enabled": true}})");
  EXPECT_EQ(resolve(folder / "m").settings.text("option.quantize"), "dynamic_int8");
  std::filesystem::remove(folder / "m/ds.json");
  EXPECT_THAT(failure_of([&] { resolve(folder / "m"); }).message, HasSubstr("ds.json"));
}

TEST(PrintConfig, ShowsValuesSourcesAndNoSecrets) {
  const Folder folder;
  ServeArguments arguments;
  arguments.positional = {folder.model("m", "option.dtype=bf16\noption.odd=1\n")};
  arguments.server_flags = {{"--port", "9001"}};
  const std::string text = print_config(
      resolve_server(arguments, {{"HF_TOKEN", "hf_secret"}, {"PREDICT_TIMEOUT", "9"}}));
  EXPECT_THAT(text, HasSubstr("model m: rolling mode, " + (folder / "m")));
  EXPECT_THAT(text, testing::ContainsRegex("inference_address +http://127.0.0.1:9001 +--port\n"));
  EXPECT_THAT(text, testing::ContainsRegex("option.dtype +bf16 +[^ ]*serving.properties:1\n"));
  EXPECT_THAT(text, testing::ContainsRegex("option.predict_timeout +9 +PREDICT_TIMEOUT\n"));
  EXPECT_THAT(text, testing::ContainsRegex("option.max_tokens +1024 +default\n"));
  EXPECT_THAT(text, testing::ContainsRegex("option.odd +1 +.*unknown, ignored"));
  EXPECT_THAT(text, testing::ContainsRegex("HF_TOKEN +\\*\\*\\* +HF_TOKEN"));
  EXPECT_THAT(text, testing::Not(HasSubstr("hf_secret")));
}

}  // namespace
}  // namespace tensormill
