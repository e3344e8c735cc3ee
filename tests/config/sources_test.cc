// Which source wins, and what each one is called.

#include "config/configuration.h"
#include "fixture.h"

namespace tensormill {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

TEST(ModelSources, EachBeatsTheOneBefore) {
  const Folder folder;
  const std::string path = folder.model("m", "job_queue_size=5\noption.max_tokens = 50 \n");
  const std::string plain = folder.model("plain");
  Settings server(SettingScope::kServer);
  const auto queue = [&](const std::string& item, const auto& request, const auto& overrides) {
    return resolve_model(item, server, {}, request, overrides).settings.value("job_queue_size");
  };
  const std::vector<std::pair<std::string, std::string>> none, request{{"job_queue_size", "6"}},
      flag{{"job_queue_size", "7"}};
  EXPECT_EQ(queue(plain, none, none).text, "1000");
  server.set("job_queue_size", "4", "config.properties:1");
  EXPECT_EQ(queue(plain, none, none).text, "4");
  EXPECT_EQ(queue(plain, none, none).source, "config.properties:1");
  EXPECT_EQ(queue(path, none, none).text, "5");
  EXPECT_THAT(queue(path, none, none).source, EndsWith("m/serving.properties:1"));
  EXPECT_EQ(queue(path, request, none).text, "6");
  EXPECT_EQ(queue(path, request, flag).text, "7");
  EXPECT_EQ(queue(path, request, flag).source, "-o");

  const Environment environment{{"OPTION_MAX_TOKENS", "40"}};
  EXPECT_EQ(resolve(plain, environment).settings.value("option.max_tokens").source,
            "OPTION_MAX_TOKENS");
  EXPECT_EQ(resolve(path, environment).settings.integer("option.max_tokens"), 50);
  EXPECT_EQ(
      resolve(plain + "?option.max_tokens=60", environment).settings.integer("option.max_tokens"),
      60);
}

TEST(ModelSources, ABadValueThatIsReplacedDoesNoHarm) {
  const Folder folder;
  const std::string path = folder.model("m", "option.max_tokens=50");
  EXPECT_EQ(resolve(path, {{"OPTION_MAX_TOKENS", "many"}}).settings.integer("option.max_tokens"),
            50);
}

TEST(ModelSources, VariablesOfModels) {
  const Folder folder;
  const std::string path = folder.model("m");
  EXPECT_EQ(resolve(path, {{"OPTION_ENTRYPOINT", "djl_python.deepspeed"}})
                .settings.text("option.entryPoint"),
            "djl_python.deepspeed");
  EXPECT_EQ(resolve(path, {{"OPTION_ENGINE", "MPI"}}).settings.text("engine"), "MPI");
  EXPECT_FALSE(resolve(path, {{"OPTION_DTYPE", ""}}).settings.is_set("option.dtype"));
  // The prefix makes another key of it: the server's is SERVING_BATCH_SIZE.
  const ModelConfig batch = resolve(path, {{"OPTION_BATCH_SIZE", "4"}});
  EXPECT_EQ(batch.settings.integer("option.batch_size"), 4);
  EXPECT_EQ(batch.settings.integer("batch_size"), 1);
  const Environment timeouts{{"PREDICT_TIMEOUT", "240"},
                             {"MODEL_LOADING_TIMEOUT", "1200"},
                             {"OPTION_PREDICT_TIMEOUT", "7"},
                             {"TENSOR_PARALLEL_DEGREE", "max"}};
  const Settings settings = resolve(path, timeouts).settings;
  EXPECT_EQ(settings.integer("option.predict_timeout"), 7);
  EXPECT_EQ(settings.integer("option.model_loading_timeout"), 1200);
  EXPECT_EQ(settings.value("option.model_loading_timeout").source, "MODEL_LOADING_TIMEOUT");
  EXPECT_EQ(settings.value("option.tensor_parallel_degree").source, "TENSOR_PARALLEL_DEGREE");
  EXPECT_THAT(failure_of([&] {
                resolve(path, {{"TENSOR_PARALLEL_DEGREE", "4"}});
              }).message,
              HasSubstr("option.tensor_parallel_degree=4 (TENSOR_PARALLEL_DEGREE)"));
}

TEST(ModelSources, NamesThatTheContainerCopies) {
  const Folder folder;
  const std::string path = folder.model("m");
  const Settings settings = resolve(path, {{"MAX_BATCH_SIZE", "8"},
                                           {"MAX_BATCH_PREFILL_TOKENS", "99"},
                                           {"HF_MODEL_TRUST_REMOTE_CODE", "true"},
                                           {"SM_NUM_GPUS", "1"}})
                                .settings;
  EXPECT_EQ(settings.integer("option.max_rolling_batch_size"), 8);
  EXPECT_EQ(settings.value("option.max_rolling_batch_size").source, "MAX_BATCH_SIZE");
  EXPECT_EQ(settings.integer("option.max_rolling_batch_prefill_tokens"), 99);
  EXPECT_TRUE(settings.flag("option.trust_remote_code"));
  EXPECT_EQ(settings.value("option.tensor_parallel_degree").source, "SM_NUM_GPUS");
  EXPECT_EQ(resolve(path, {{"MAX_BATCH_SIZE", "8"}, {"OPTION_MAX_ROLLING_BATCH_SIZE", "9"}})
                .settings.integer("option.max_rolling_batch_size"),
            9);
  EXPECT_FALSE(
      resolve(path, {{"SM_NUM_GPUS", "0"}}).settings.is_set("option.tensor_parallel_degree"));
  EXPECT_THAT(failure_of([&] {
                resolve(path, {{"HF_MODEL_QUANTIZE", "smoothquant"}});
              }).message,
              HasSubstr("option.quantize=smoothquant (HF_MODEL_QUANTIZE)"));
  EXPECT_EQ(resolve(path, {{"OPTION_QUANTIZE", "dynamic_int8"}}).settings.text("option.quantize"),
            "dynamic_int8");
  EXPECT_EQ(resolve_server({}, {{"MAX_CONCURRENT_REQUESTS", "3"}})
                .settings.value("job_queue_size")
                .source,
            "MAX_CONCURRENT_REQUESTS");
}

TEST(ModelSources, KeysOfTheHandlerCountWithoutPrefixButLoseToIt) {
  const Folder folder;
  const Settings bare =
      resolve(folder.model("a",
                           "dtype=fp16\ntask=text-generation\nrolling_batch=auto\n"
                           "entryPoint=djl_python.deepspeed\n"))
          .settings;
  EXPECT_EQ(bare.text("option.dtype"), "fp16");
  EXPECT_EQ(bare.text("option.task"), "text-generation");
  EXPECT_EQ(bare.text("option.rolling_batch"), "auto");
  EXPECT_EQ(bare.text("option.entryPoint"), "djl_python.deepspeed");
  EXPECT_EQ(
      resolve(folder.model("b", "option.dtype=bf16\ndtype=fp16\n")).settings.text("option.dtype"),
      "bf16");
}

TEST(ModelSources, OurFlagsTakeMoreSpellings) {
  const Folder folder;
  const std::string path = folder.model("m", "option.dtype=fp32");
  const char* spellings[][2] = {{"f32", "fp32"},     {"float32", "fp32"},  {"f16", "fp16"},
                                {"float16", "fp16"}, {"bfloat16", "bf16"}, {"fp16", "fp16"}};
  for (const auto& [typed, kept] : spellings) {
    const Settings settings = resolve(path, {}, {}, {{"--dtype", typed}}).settings;
    EXPECT_EQ(settings.text("option.dtype"), kept);
    EXPECT_EQ(settings.value("option.dtype").source, "--dtype");
  }
  const Settings settings = resolve(path, {}, {},
                                    {{"--threads", "3"},
                                     {"--random-weights", "true"},
                                     {"--device", "cpu"},
                                     {"--cpu-level", "avx2"},
                                     {"max_tokens", "9"}})
                                .settings;
  EXPECT_EQ(settings.integer("option.threads"), 3);
  EXPECT_TRUE(settings.flag("option.random_weights"));
  EXPECT_EQ(settings.text("option.device"), "cpu");
  EXPECT_EQ(settings.text("option.cpu_level"), "avx2");
  EXPECT_EQ(settings.integer("option.max_tokens"), 9);
  EXPECT_THAT(failure_of([&] {
                resolve(path, {}, {}, {{"--dtype", "f99"}});
              }).message,
              HasSubstr("option.dtype=f99 (--dtype): Invalid data type: f99"));
  EXPECT_EQ(failure_of([&] {
              resolve(path, {}, {}, {{"option.dtype", "f32"}});
            }).kind,
            ErrorKind::kConfigInvalid);
}

TEST(ModelSources, OtherNamesOfKeys) {
  const Folder folder;
  const std::string weights = folder.model("weights");
  const auto batch = [&](const std::string& properties) {
    Settings server(SettingScope::kServer);
    server.set("batch_size", "2", "SERVING_BATCH_SIZE");
    return resolve_model(folder.model("m", properties), server, {}, {}, {})
        .settings.integer("batch_size");
  };
  EXPECT_EQ(batch("engine=Python"), 2);
  EXPECT_EQ(batch("max_dynamic_batch_size=3"), 3);
  EXPECT_EQ(batch("max_dynamic_batch_size=3\nbatch_size=4"), 4);
  EXPECT_EQ(resolve(folder.model("n", "option.model_dir=" + weights)).model_folder, weights);
}

TEST(ServerSources, EachBeatsTheOneBefore) {
  const Folder folder;
  folder.write("c.properties", "# mine\nmax_request_size: 100\nmodel_store=store");
  folder.model("store/a");
  folder.model("other/b");
  ServeArguments arguments;
  EXPECT_EQ(resolve_server(arguments, {}).settings.integer("max_request_size"), 67108864);
  arguments.config_file = folder / "c.properties";
  const Environment home{{"MODEL_SERVER_HOME", folder.str()}};
  const ServerConfig file = resolve_server(arguments, home);
  EXPECT_EQ(file.settings.integer("max_request_size"), 100);
  EXPECT_THAT(file.settings.value("max_request_size").source, EndsWith("c.properties:2"));
  ASSERT_EQ(file.models.size(), 1u);
  EXPECT_EQ(file.models[0].name, "a");
  EXPECT_EQ(file.models[0].url, "file:" + (folder / "store/a/"));

  arguments.model_store = folder / "other";
  EXPECT_EQ(resolve_server(arguments, home).models.at(0).name, "b");
  Environment environment = home;
  environment["SERVING_MODEL_STORE"] = "store";
  environment["SERVING_MAX_REQUEST_SIZE"] = "200";
  const ServerConfig variables = resolve_server(arguments, environment);
  EXPECT_EQ(variables.models.at(0).name, "a");
  EXPECT_EQ(variables.settings.value("max_request_size").source, "SERVING_MAX_REQUEST_SIZE");
  arguments.options = {{"max_request_size", "300"}};
  EXPECT_EQ(resolve_server(arguments, environment).settings.integer("max_request_size"), 300);
}

TEST(ServerSources, TheFileIsLookedForAtHome) {
  const Folder folder;
  const Environment home{{"MODEL_SERVER_HOME", folder.str()}};
  folder.write("config.properties", "job_queue_size=1");
  EXPECT_EQ(resolve_server({}, home).settings.integer("job_queue_size"), 1);
  folder.write("conf/config.properties", "job_queue_size=2");
  EXPECT_EQ(resolve_server({}, home).settings.integer("job_queue_size"), 2);
  ServeArguments arguments;
  arguments.config_file = folder / "none.properties";
  EXPECT_THAT(failure_of([&] { resolve_server(arguments, home); }).message,
              HasSubstr("none.properties: no such file"));
  EXPECT_THAT(failure_of([&] {
                resolve_server({}, {{"MODEL_SERVER_HOME", folder / "no"}});
              }).message,
              HasSubstr("MODEL_SERVER_HOME="));
}

TEST(ServerSources, FlagsMoveTheAddresses) {
  const auto flags = [](std::vector<std::pair<std::string, std::string>> values,
                        const Environment& environment = {}) {
    ServeArguments arguments;
    arguments.server_flags = std::move(values);
    return resolve_server(arguments, environment);
  };
  const ServerConfig port = flags({{"--port", "9000"}});
  EXPECT_EQ(port.inference.host, "127.0.0.1");
  EXPECT_EQ(port.inference.port, 9000);
  EXPECT_EQ(port.management.port, 9000);
  EXPECT_EQ(port.settings.value("inference_address").source, "--port");
  const ServerConfig both = flags({{"--host", "::1"}, {"--port", "1"}},
                                  {{"SERVING_INFERENCE_ADDRESS", "http://0.0.0.0:8080"},
                                   {"SERVING_MANAGEMENT_ADDRESS", "http://0.0.0.0:8081"}});
  EXPECT_EQ(both.inference.host, "::1");
  EXPECT_EQ(both.inference.port, 1);
  EXPECT_EQ(both.management.port, 8081);
  EXPECT_THAT(failure_of([&] { flags({{"--port", "x"}}); }).message, HasSubstr("--port x"));
}

TEST(ServerSources, AnUnsetManagementAddressNeverClashes) {
  const ServerConfig shared =
      resolve_server({}, {{"SERVING_INFERENCE_ADDRESS", "http://0.0.0.0:8080"}});
  EXPECT_EQ(shared.management.host, "0.0.0.0");
  const ServerConfig two =
      resolve_server({}, {{"SERVING_INFERENCE_ADDRESS", "http://0.0.0.0:9000"}});
  EXPECT_EQ(two.management.host, "127.0.0.1");
  EXPECT_EQ(two.management.port, 8080);
}

TEST(ServerSources, AFileCantSetAVariable) {
  const Log log;
  const Folder folder;
  folder.write("c.properties", "PREDICT_TIMEOUT=5");
  ServeArguments arguments;
  arguments.config_file = folder / "c.properties";
  EXPECT_FALSE(resolve_server(arguments, {}).settings.is_set("PREDICT_TIMEOUT"));
  EXPECT_THAT(log.str(), HasSubstr("is read from the environment only"));
}

}  // namespace
}  // namespace tensormill
