#include "server/service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <fstream>

#include "base/json.h"
#include "fake_backend.h"
#include "socket_client.h"

namespace tensormill {
namespace {

using testing::call;
using testing::ClientReply;
using testing::FakeBackend;
using testing::get_request;
using ::testing::HasSubstr;
using testing::post_request;
using testing::SocketClient;

constexpr char kRequest[] = R"({"inputs": "hello", "parameters": {"max_new_tokens": 3}})";
constexpr char kLong[] = R"({"inputs": "hello", "parameters": {"max_new_tokens": 100000}})";
constexpr char kLongStream[] =
    R"({"inputs": "hello", "parameters": {"max_new_tokens": 100000}, "stream": true})";

ModelConfig model_config(const std::string& name, bool dynamic = false) {
  ModelConfig config;
  config.name = name;
  config.url = "file:/models/" + name;
  if (dynamic) {
    config.settings.set("engine", "DeepSpeed", "test");
  } else {
    config.settings.set("option.rolling_batch", "auto", "test");
  }
  return config;
}

class ServiceTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { spdlog::set_level(spdlog::level::warn); }

  void start() {
    config_.inference = config_.management = {Address::Kind::kHttp, "127.0.0.1", 0};
    service_ = std::make_unique<Service>(config_, [this](const ModelConfig& model) {
      if (model.name == "broken") {
        throw Error(ErrorKind::kConfigInvalid, "option.dtype: no such type");
      }
      return std::make_unique<FakeBackend>(script_, counts_);
    });
    service_->add_startup_models();
    ASSERT_TRUE(service_->load_startup_models());
    port_ = service_->listen()[0];
  }

  void start_with(ModelConfig model) {
    config_.models.push_back(std::move(model));
    start();
  }

  ClientReply get(std::string_view target, std::string_view method = "GET") {
    return call(port_, get_request(target, method));
  }
  ClientReply post(std::string_view target, std::string_view body,
                   std::string_view headers = "Content-Type: application/json\r\n") {
    return call(port_, post_request(target, body, headers));
  }
  static OrderedJson json(const ClientReply& reply) {
    return OrderedJson::parse(reply.body, nullptr, false);
  }
  static void expect_error(const ClientReply& reply, int status, const std::string& type,
                           const std::string& message) {
    EXPECT_EQ(reply.status(), status);
    EXPECT_EQ(reply.header("connection"), "close");
    const auto body = json(reply);
    ASSERT_TRUE(body.is_object()) << reply.body;
    EXPECT_EQ(body["code"], status);
    EXPECT_EQ(body["type"], type);
    EXPECT_EQ(body["message"], message);
  }
  template <class Condition>
  static bool eventually(Condition condition) {
    for (int i = 0; i < 500; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  ServerConfig config_;
  FakeBackend::Script script_;
  std::shared_ptr<FakeBackend::Counts> counts_ = std::make_shared<FakeBackend::Counts>();
  std::unique_ptr<Service> service_;
  uint16_t port_ = 0;
};

TEST_F(ServiceTest, PingNamesEveryModel) {
  start_with(model_config("rb"));
  const ClientReply reply = get("/ping");
  EXPECT_EQ(reply.status(), 200);
  EXPECT_EQ(reply.header("content-type"), "application/json");
  EXPECT_EQ(reply.body, "{\n  \"rb\": {\n    \"status\": \"Healthy\"\n  }\n}\n");
  EXPECT_EQ(get("/v2/health/ready").status(), 200);
}

TEST_F(ServiceTest, StepsThatFailShowInTheModelsHealth) {
  start_with(model_config("rb"));
  const auto described = [this] { return json(get("/models/rb"))[0]["models"][0]; };
  counts_->failed_steps = 10;
  EXPECT_EQ(get("/ping").status(), 200);
  EXPECT_EQ(json(get("/ping"))["rb"]["status"], "Unhealthy");
  EXPECT_EQ(described()["status"], "Unhealthy");
  EXPECT_TRUE(described()["workerGroups"][0]["workers"].empty());
  EXPECT_EQ(json(get("/models"))["models"][0]["status"], "READY");
  EXPECT_EQ(get("/v2/health/ready").status(), 200);
  EXPECT_EQ(post("/predictions/rb", kRequest).status(), 200);
  counts_->failed_steps = 11;  // more than retry_threshold
  EXPECT_EQ(get("/ping").status(), 500);
  EXPECT_EQ(json(get("/ping"))["rb"]["status"], "FAILED");
  EXPECT_EQ(described()["status"], "FAILED");
  EXPECT_EQ(json(get("/models"))["models"][0]["status"], "FAILED");
  EXPECT_TRUE(json(get("/v1/models"))["data"].empty());
  EXPECT_EQ(get("/v2/health/ready").status(), 424);
  EXPECT_EQ(post("/predictions/rb", kRequest).status(), 200);  // it may come back
  counts_->failed_steps = 0;
  EXPECT_EQ(json(get("/ping"))["rb"]["status"], "Healthy");
}

TEST_F(ServiceTest, AModelWhoseDeviceIsLostRefuses) {
  start_with(model_config("rb"));
  counts_->lost = true;
  EXPECT_EQ(get("/ping").status(), 500);
  EXPECT_EQ(json(get("/ping"))["rb"]["status"], "FAILED");
  expect_error(post("/predictions/rb", kRequest), 503, "WlmShutdownException",
               "All model workers has been shutdown: rb");
}

TEST_F(ServiceTest, PingWithoutModels) {
  start();
  EXPECT_EQ(get("/ping").body, "{}\n");
}

TEST_F(ServiceTest, RollingRepliesAreChunked) {
  start_with(model_config("rb"));
  for (const char* path : {"/invocations", "/predictions/rb", "/models/rb/invoke"}) {
    const ClientReply reply = post(path, kRequest);
    EXPECT_EQ(reply.status(), 200) << path;
    EXPECT_EQ(reply.header("transfer-encoding"), "chunked");
    EXPECT_EQ(reply.header("content-type"), "application/json");
    EXPECT_EQ(json(reply)["generated_text"], " w0 w1 w2") << reply.body;
    EXPECT_TRUE(reply.complete);
  }
}

TEST_F(ServiceTest, OneChunkATokenWhenStreaming) {
  start_with(model_config("rb"));
  const ClientReply reply = post(
      "/invocations", R"({"inputs": "a", "parameters": {"max_new_tokens": 3}, "stream": true})");
  EXPECT_EQ(reply.header("content-type"), "application/jsonlines");
  ASSERT_EQ(reply.chunks.size(), 3u);
  EXPECT_EQ(OrderedJson::parse(reply.chunks[0])["token"]["text"], " w0");
  EXPECT_EQ(OrderedJson::parse(reply.chunks[2])["generated_text"], " w0 w1 w2");
}

TEST_F(ServiceTest, DynamicRepliesHaveALength) {
  start_with(model_config("dyn", true));
  const ClientReply reply =
      post("/invocations", R"({"inputs": ["a", "b"], "parameters": {"max_new_tokens": 2}})");
  EXPECT_EQ(reply.status(), 200);
  EXPECT_EQ(reply.header("content-length"), std::to_string(reply.body.size()));
  ASSERT_EQ(json(reply).size(), 2u) << reply.body;
  EXPECT_EQ(json(reply)[1]["generated_text"], "bde");  // bytes 100 and 101
}

TEST_F(ServiceTest, RollingParseErrorsAre200WithTheCodeInside) {
  start_with(model_config("rb"));
  const ClientReply reply = post("/invocations", R"({"inputs": bad)");
  EXPECT_EQ(reply.status(), 200);
  EXPECT_EQ(reply.header("transfer-encoding"), "chunked");
  EXPECT_EQ(reply.body, R"-({"error":"Expecting value: line 1 column 12 (char 11)","code":424})-");
}

TEST_F(ServiceTest, TheModelMustBeTold) {
  config_.models = {model_config("one"), model_config("two")};
  start();
  const ClientReply reply = post("/invocations", kRequest);
  expect_error(reply, 400, "BadRequestException", "Parameter model_name is required.");
  EXPECT_EQ(reply.reason(), "Parameter model_name is required.");
  EXPECT_EQ(post("/invocations?model_name=two", kRequest).status(), 200);
  EXPECT_EQ(post("/invocations", kRequest, "Model_Name: one\r\n").status(), 200);
  EXPECT_EQ(post("/invocations", kRequest,
                 "X-Amzn-SageMaker-Custom-Attributes: model_name=two;foo=bar\r\n")
                .status(),
            200);
  EXPECT_EQ(post("/invocations", "model_name=one&data=x",
                 "Content-Type: application/x-www-form-urlencoded\r\n")
                .status(),
            200);
}

TEST_F(ServiceTest, UnknownThings) {
  start_with(model_config("rb"));
  expect_error(post("/predictions/nope", kRequest), 404, "ModelNotFoundException",
               "Model or workflow not found: nope");
  expect_error(post("/predictions/rb/v9", kRequest), 404, "ModelNotFoundException",
               "Model or workflow not found: rb");
  expect_error(get("/foo"), 404, "ResourceNotFoundException",
               "Requested resource is not found, please refer to API document.");
  expect_error(get("/models", "PUT"), 405, "MethodNotAllowedException",
               "Requested method is not allowed, please refer to API document.");
  expect_error(get("/models/nope"), 404, "ModelNotFoundException", "Workflow not found: nope");
  expect_error(get("/models/rb/v9"), 404, "ModelNotFoundException",
               "Workflow not found: Workflow not found: rb/v9");
  expect_error(post("/predictions/rb", kRequest, "handler: x\r\n"), 400, "BadRequestException",
               "The handler can't be overridden in a request");
}

TEST_F(ServiceTest, OptionsOfRootAndModels) {
  start_with(model_config("rb"));
  for (const char* path : {"/", "/predictions/rb", "/invocations"}) {
    const ClientReply reply = get(path, "OPTIONS");
    EXPECT_EQ(reply.body, "{}\n") << path;
    EXPECT_EQ(reply.header("content-length"), "3");
  }
  EXPECT_EQ(get("/predictions/nope", "OPTIONS").status(), 404);
}

TEST_F(ServiceTest, VersionsTakeTurns) {
  ModelConfig first = model_config("m"), second = model_config("m");
  first.version = "v1";
  second.version = "v2";
  config_.models = {first, second};
  start();
  EXPECT_EQ(post("/predictions/m", kRequest).status(), 200);
  EXPECT_EQ(post("/predictions/m/v2", kRequest).status(), 200);
  EXPECT_EQ(post("/invocations?model_name=m&model_version=v1", kRequest).status(), 200);
  EXPECT_EQ(json(get("/models/m")).size(), 2u);
  EXPECT_EQ(json(get("/models/m/v2")).size(), 1u);
  EXPECT_EQ(json(get("/models"))["models"][1]["version"], "v2");
  EXPECT_EQ(get("/models/m/v2", "DELETE").status(), 200);
  EXPECT_EQ(json(get("/models/m")).size(), 1u);
}

TEST_F(ServiceTest, DescribesAModel) {
  start_with(model_config("dyn"));
  const OrderedJson described = json(get("/models/dyn"));
  const OrderedJson model = described[0]["models"][0];
  EXPECT_EQ(described[0]["workflowName"], "dyn");
  EXPECT_EQ(model["modelName"], "dyn");
  EXPECT_EQ(model["batchSize"], 1);
  EXPECT_EQ(model["maxBatchDelayMillis"], 100);
  EXPECT_EQ(model["maxIdleSeconds"], 60);
  EXPECT_EQ(model["queueSize"], 1000);
  EXPECT_EQ(model["requestInQueue"], 0);
  EXPECT_EQ(model["status"], "Healthy");
  EXPECT_EQ(model["loadedAtStartup"], true);
  const OrderedJson group = model["workerGroups"][0];
  EXPECT_EQ(group["device"]["deviceType"], "cpu");
  EXPECT_EQ(group["device"]["deviceId"], -1);
  EXPECT_EQ(group["workers"][0]["status"], "READY");
  EXPECT_EQ(group["workers"][0]["startTime"].get<std::string>().size(), 24u);
  std::vector<std::string> keys;
  for (const auto& [key, value] : model.items()) keys.push_back(key);
  EXPECT_THAT(keys,
              ::testing::ElementsAre("modelName", "modelUrl", "batchSize", "maxBatchDelayMillis",
                                     "maxIdleSeconds", "queueSize", "requestInQueue", "status",
                                     "loadedAtStartup", "workerGroups"));
}

TEST_F(ServiceTest, PagesOfModels) {
  config_.models = {model_config("a"), model_config("b"), model_config("c")};
  start();
  const OrderedJson first = json(get("/models?limit=2"));
  EXPECT_EQ(first.begin().key(), "nextPageToken");
  EXPECT_EQ(first["nextPageToken"], "2");
  EXPECT_EQ(first["models"].size(), 2u);
  const OrderedJson rest = json(get("/models?limit=2&next_page_token=2"));
  EXPECT_FALSE(rest.contains("nextPageToken"));
  EXPECT_EQ(rest["models"][0]["modelName"], "c");
  EXPECT_EQ(rest["models"][0]["status"], "READY");
  EXPECT_EQ(json(get("/models?limit=-5"))["models"].size(), 3u);
  EXPECT_EQ(json(get("/models?next_page_token=99"))["models"].size(), 0u);
  expect_error(get("/models?limit=x"), 500, "NumberFormatException", "For input string: \"x\"");
  EXPECT_EQ(json(get("/workflows"))["workflows"][0]["workflowName"], "a");
}

TEST_F(ServiceTest, RegistersScalesAndUnregisters) {
  start_with(model_config("rb"));
  const auto folder = std::filesystem::temp_directory_path() / "tm_service_test_m2";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "config.json") << R"({"model_type": "llama"})";
  const std::string url = "file:" + folder.string();
  expect_error(post("/models", "{}"), 400, "BadRequestException", "Parameter url is required.");
  expect_error(post("/models?url=file:/x/nope", "", ""), 404, "ModelNotFoundException",
               json(post("/models?url=file:/x/nope", "", ""))["message"]);
  const ClientReply registered = post("/models?model_name=m2&url=" + url, "", "");
  EXPECT_EQ(registered.status(), 200) << registered.body;
  EXPECT_EQ(json(registered)["status"], "Model \"m2\" registered.");
  const ClientReply twice = post("/models", R"({"model_name": "m2", "url": ")" + url + R"("})");
  expect_error(twice, 409, "BadRequestException", "Workflow m2 is already registered.");
  EXPECT_EQ(twice.reason(), "Workflow m2 is already registered.");
  EXPECT_EQ(post("/predictions/m2", kRequest).status(), 200);
  EXPECT_EQ(json(get("/models/m2"))[0]["models"][0]["loadedAtStartup"], false);
  EXPECT_EQ(json(get("/models/m2?min_worker=2&max_worker=4", "PUT"))["status"],
            "Workflow \"m2\" worker scaled. New Worker configuration min workers:2 max workers:4");
  EXPECT_EQ(json(get("/models/m2"))[0]["models"][0]["workerGroups"][0]["workers"].size(), 2u);
  EXPECT_EQ(get("/models/m2?min_worker=0&max_worker=0", "PUT").status(), 200);
  expect_error(post("/predictions/m2", kRequest), 503, "WlmShutdownException",
               "All model workers has been shutdown: m2");
  EXPECT_EQ(json(get("/models/m2", "DELETE"))["status"], "Model or workflow \"m2\" unregistered");
  expect_error(get("/models/m2", "DELETE"), 404, "ModelNotFoundException",
               "Model or workflow not found: m2");
  const ClientReply broken = post("/models?model_name=broken&url=" + url, "", "");
  expect_error(broken, 500, "EngineException",
               "Failed to initialize model: prediction failure: option.dtype: no such type");
  EXPECT_EQ(get("/models/broken").status(), 404);
  const ClientReply scheduled =
      post("/models?model_name=broken&synchronous=false&url=" + url, "", "");
  EXPECT_EQ(scheduled.status(), 202);
  EXPECT_EQ(json(scheduled)["status"], "Model \"broken\" registration scheduled.");
  EXPECT_TRUE(eventually([&] { return get("/ping").status() == 500; }));
  expect_error(post("/predictions/broken", kRequest), 503, "WlmException",
               "Model is not ready: broken");
  std::filesystem::remove_all(folder);
}

TEST_F(ServiceTest, ScalingNeedsNumbersAndAModel) {
  start_with(model_config("rb"));
  expect_error(get("/models/rb?min_worker=x", "PUT"), 400, "BadRequestException",
               "For input string: \"x\"");
  expect_error(get("/models/nope?min_worker=1", "PUT"), 404, "ModelNotFoundException",
               "Model or workflow not found: nope");
}

TEST_F(ServiceTest, AFullQueueIs503) {
  script_.slots = 1;
  script_.queue = 3;
  script_.step = std::chrono::milliseconds(20);
  start_with(model_config("m"));
  std::vector<std::unique_ptr<SocketClient>> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(std::make_unique<SocketClient>(port_));
    clients.back()->send(post_request("/invocations", kLong));
    ASSERT_TRUE(eventually([&] { return counts_->submitted == i + 1; }));
    std::this_thread::sleep_for(std::chrono::milliseconds(60));  // the first takes its slot
  }
  expect_error(post("/invocations", kRequest), 503, "WlmCapacityException",
               "Worker queue capacity exceeded for model: m");
  clients.clear();
  EXPECT_TRUE(eventually([&] { return counts_->finished == 4; }));
  EXPECT_EQ(counts_->cancelled, 4);
}

TEST_F(ServiceTest, AClientThatLeavesCancelsItsRequest) {
  start_with(model_config("m"));
  {
    SocketClient client(port_);
    client.send(post_request("/invocations", kLongStream));
    ASSERT_TRUE(eventually([&] { return counts_->submitted == 1; }));
    EXPECT_EQ(counts_->cancelled, 0);
  }
  EXPECT_TRUE(eventually([&] { return counts_->finished == 1; }));
  EXPECT_EQ(counts_->cancelled, 1);
}

TEST_F(ServiceTest, ASlotThatDoesNotComeInTimeIs503) {
  script_.slots = 1;
  ModelConfig model = model_config("m");
  model.settings.set("option.predict_timeout", "1", "test");
  start_with(model);
  SocketClient busy(port_);
  busy.send(post_request("/invocations", kLongStream));
  ASSERT_TRUE(eventually([&] { return counts_->submitted == 1; }));
  expect_error(post("/invocations", kRequest), 503, "TranslateException", "Time out in: 1");
}

TEST_F(ServiceTest, ASlowDynamicCallIs503) {
  script_.step = std::chrono::milliseconds(300);
  ModelConfig model = model_config("m", true);
  model.settings.set("option.predict_timeout", "1", "test");
  start_with(model);
  expect_error(post("/invocations", kLong), 503, "WlmException",
               "java.util.concurrent.TimeoutException");
}

TEST_F(ServiceTest, ASlowFirstTokenIsAnErrorNotACut) {
  config_.settings.set("chunked_read_timeout", "1", "test");
  script_.step = std::chrono::milliseconds(20);
  script_.prefill = 500;
  start_with(model_config("m"));
  expect_error(post("/invocations", kRequest), 503, "WlmException",
               "No token within 1 seconds (chunked_read_timeout)");
}

TEST_F(ServiceTest, WaitingForASlotIsNotWaitingForAToken) {
  config_.settings.set("chunked_read_timeout", "1", "test");
  script_.slots = 1;
  script_.step = std::chrono::milliseconds(20);
  start_with(model_config("m"));
  SocketClient busy(port_);
  busy.send(
      post_request("/invocations", R"({"inputs": "a", "parameters": {"max_new_tokens": 90}})"));
  ASSERT_TRUE(eventually([&] { return counts_->submitted == 1; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  EXPECT_EQ(post("/invocations", kRequest).status(), 200);  // after 1.8 s
}

TEST_F(ServiceTest, AnEngineErrorBeforeTheFirstByte) {
  script_.fail_at = 0;
  start_with(model_config("m"));
  const ClientReply reply = post("/invocations", kRequest);
  EXPECT_EQ(reply.status(), 200);
  EXPECT_THAT(reply.body, HasSubstr("424"));
  EXPECT_THAT(reply.body, HasSubstr("boom"));
}

TEST_F(ServiceTest, AnEngineErrorInMidStreamEndsTheReplyWell) {
  script_.fail_at = 2;
  start_with(model_config("m"));
  const ClientReply reply = post("/invocations", kRequest);
  EXPECT_EQ(reply.status(), 200);
  EXPECT_TRUE(reply.complete);
  EXPECT_TRUE(json(reply).is_object()) << reply.body;
}

TEST_F(ServiceTest, BatchesOfDynamicCallsWaitForEachOther) {
  ModelConfig model = model_config("m", true);
  model.settings.set("batch_size", "2", "test");
  model.settings.set("max_batch_delay", "20000", "test");
  start_with(model);
  SocketClient first(port_);
  first.send(post_request("/invocations", kRequest));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_EQ(counts_->submitted, 0);
  EXPECT_EQ(post("/invocations", kRequest).status(), 200);
  EXPECT_EQ(first.read_reply().status(), 200);
}

TEST_F(ServiceTest, ABatchGoesWhenItsDelayIsOver) {
  ModelConfig model = model_config("m", true);
  model.settings.set("batch_size", "2", "test");
  start_with(model);
  EXPECT_EQ(post("/invocations", kRequest).status(), 200);
}

TEST_F(ServiceTest, AsynchronousCallsAreFetchedInPages) {
  start_with(model_config("m"));
  const ClientReply begun = post("/invocations", kRequest, "x-synchronous: false\r\n");
  EXPECT_EQ(begun.status(), 200);
  EXPECT_EQ(begun.header("content-length"), "0");
  const std::string token = begun.header("x-next-token");
  ASSERT_EQ(token.size(), 36u);
  EXPECT_EQ(begun.header("X-Amzn-SageMaker-Custom-Attributes"), "x-next-token=" + token);
  std::string next = token, text;
  for (int i = 0; i < 200 && !next.empty(); ++i) {
    const ClientReply page =
        post("/invocations", "", fmt::format("x-starting-token: {}\r\nx-max-items: 1\r\n", next));
    ASSERT_TRUE(page.status() == 200 || page.status() == 202) << page.head;
    if (page.status() == 202) {
      EXPECT_EQ(page.reason(), "The model result is not yet available");
    }
    text += page.body;
    next = page.header("x-next-token");
  }
  EXPECT_EQ(OrderedJson::parse(text)["generated_text"], " w0 w1 w2") << text;
  EXPECT_EQ(post("/invocations", "", "x-starting-token: nope\r\n").status(), 400);
  EXPECT_EQ(post("/invocations", "", "x-starting-token: " + token + "x\r\n").status(), 400);
}

TEST_F(ServiceTest, OpenAiClientsChooseTheModelByName) {
  config_.models = {model_config("one"), model_config("two")};
  start();
  const OrderedJson list = json(get("/v1/models"));
  EXPECT_EQ(list["object"], "list");
  EXPECT_EQ(list["data"][1]["id"], "two");
  EXPECT_EQ(json(get("/v1/models/one"))["id"], "one");
  EXPECT_EQ(get("/v1/models/nope").status(), 404);
  const ClientReply unknown = post(
      "/v1/chat/completions",
      R"({"model": "nope", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2})");
  EXPECT_EQ(unknown.status(), 404);
  EXPECT_TRUE(json(unknown)["error"].is_object()) << unknown.body;
}

TEST_F(ServiceTest, MetricsHaveToBeEnabled) {
  start_with(model_config("m"));
  const std::string text =
      "Prometheus is not enabled, set SERVING_PROMETHEUS environment var to true to enable "
      "prometheus metrics";
  const ClientReply reply = get("/server/metrics");
  expect_error(reply, 400, "BadRequestException", text);
  EXPECT_EQ(reply.reason(), text);
}

TEST_F(ServiceTest, MetricsShowResponsesAndEngines) {
  config_.settings.set("prometheus", "true", "test");
  start_with(model_config("m"));
  post("/invocations", kRequest);
  post("/invocations", "{");
  const ClientReply reply = get("/server/metrics");
  EXPECT_EQ(reply.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_THAT(reply.body, HasSubstr("# TYPE Response_2XX_total counter\nResponse_2XX_total{Host="));
  EXPECT_THAT(reply.body, HasSubstr("Response_4XX_total{Host="));
  EXPECT_THAT(reply.body, HasSubstr("QueueTime{Model=\"m\",}"));
  EXPECT_THAT(reply.body, HasSubstr("EngineMeanDecodeBatch{Model=\"m\",}"));
  const ClientReply one = get("/server/metrics?name[]=Response_2XX");
  EXPECT_THAT(one.body, HasSubstr("Response_2XX_total{"));
  EXPECT_THAT(one.body, ::testing::Not(HasSubstr("QueueTime")));
}

TEST_F(ServiceTest, AdaptersAreKeptOnTheBooks) {
  start_with(model_config("m"));
  EXPECT_EQ(json(get("/models/m/adapters?name=a&src=/x", "POST"))["status"],
            "Adapter a registered");
  EXPECT_EQ(json(get("/adapters"))["adapters"][0]["src"], "/x");
  EXPECT_EQ(json(get("/adapters/a"))["name"], "a");
  EXPECT_EQ(get("/models/m/adapters?name=b", "POST").status(), 400);
  EXPECT_EQ(get("/models/m/adapters?name=a&src=/x", "POST").status(), 500);
  EXPECT_EQ(post("/invocations?adapter=a", kRequest).status(), 200);
  EXPECT_EQ(post("/invocations?adapter=b", kRequest).status(), 503);
  EXPECT_EQ(get("/adapters/a", "DELETE").status(), 200);
  EXPECT_EQ(get("/adapters/a").status(), 400);
}

TEST_F(ServiceTest, LoggingLevels) {
  start_with(model_config("m"));
  EXPECT_EQ(json(get("/server/logging?level=warn"))["status"], "OK");
  EXPECT_EQ(spdlog::get_level(), spdlog::level::warn);
  EXPECT_EQ(get("/server/logging?level=loud").status(), 200);  // as the original
  EXPECT_EQ(spdlog::get_level(), spdlog::level::warn);
}

TEST_F(ServiceTest, DrainEndsWaitingCallsAndLetsRunningOnesFinish) {
  script_.slots = 1;
  script_.step = std::chrono::milliseconds(20);
  start_with(model_config("m"));
  SocketClient running(port_), waiting(port_);
  running.send(
      post_request("/invocations", R"({"inputs": "a", "parameters": {"max_new_tokens": 40}})"));
  ASSERT_TRUE(eventually([&] { return counts_->submitted == 1; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  waiting.send(post_request("/invocations", kRequest));
  ASSERT_TRUE(eventually([&] { return counts_->submitted == 2; }));
  std::thread drain([this] { service_->drain(); });
  expect_error(waiting.read_reply(), 503, "WlmException", "Worker shutting down");
  EXPECT_EQ(post("/invocations", kRequest).status(), 503);
  EXPECT_EQ(get("/ping").status(), 503);
  const ClientReply reply = running.read_reply();
  drain.join();
  EXPECT_TRUE(reply.complete);
  EXPECT_THAT(reply.body, HasSubstr(" w39"));
}

}  // namespace
}  // namespace tensormill
