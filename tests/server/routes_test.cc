#include "server/routes.h"

#include <gtest/gtest.h>

namespace tensormill {
namespace {

Endpoint endpoint(std::string_view path, ListenerRole role = {}) {
  return find_route(path, role).endpoint;
}

TEST(Routes, Inference) {
  EXPECT_EQ(endpoint("/ping"), Endpoint::kPing);
  EXPECT_EQ(endpoint("/invocations"), Endpoint::kInvocations);
  EXPECT_EQ(endpoint("/v1/chat/completions"), Endpoint::kOpenAiCall);
  EXPECT_EQ(endpoint("/v1/models"), Endpoint::kOpenAiModels);
  EXPECT_EQ(find_route("/v1/models/org/name", {}).model, "org/name");
  EXPECT_EQ(endpoint("/v1/other"), Endpoint::kUnknown);
  const Route route = find_route("/predictions/m/v1", {});
  EXPECT_EQ(route.endpoint, Endpoint::kPredict);
  EXPECT_EQ(route.model, "m");
  EXPECT_EQ(route.version, "v1");
  EXPECT_EQ(find_route("/models/m/invoke", {}).endpoint, Endpoint::kPredict);
  EXPECT_EQ(endpoint("/predictions"), Endpoint::kUnknown);
  EXPECT_EQ(endpoint("/predictions/"), Endpoint::kUnknown);
  EXPECT_EQ(endpoint("/predictions/a/b/c"), Endpoint::kUnknown);
}

TEST(Routes, Management) {
  EXPECT_EQ(endpoint("/models"), Endpoint::kModels);
  EXPECT_EQ(endpoint("/models/"), Endpoint::kModels);
  EXPECT_EQ(find_route("/models/m/v2", {}).version, "v2");
  EXPECT_EQ(find_route("/models/org%2Fm%20x", {}).model, "org/m x");
  EXPECT_EQ(endpoint("/workflows"), Endpoint::kWorkflows);
  EXPECT_EQ(endpoint("/workflows/m"), Endpoint::kWorkflow);
  EXPECT_EQ(find_route("/models/m/adapters/a", {}).adapter, "a");
  EXPECT_EQ(find_route("/adapters/a", {}).adapter, "a");
  EXPECT_EQ(endpoint("/server/logging"), Endpoint::kServerLogging);
  EXPECT_EQ(endpoint("/server/metrics"), Endpoint::kServerMetrics);
  EXPECT_EQ(endpoint("/server/x"), Endpoint::kUnknown);
  EXPECT_EQ(endpoint("/foo"), Endpoint::kUnknown);
  EXPECT_EQ(endpoint("//"), Endpoint::kUnknown);
  EXPECT_EQ(endpoint(""), Endpoint::kUnknown);
  EXPECT_EQ(endpoint("/"), Endpoint::kRoot);
}

TEST(Routes, EachOfTwoListenersServesItsOwnApi) {
  const ListenerRole inference{true, false}, management{false, true};
  EXPECT_EQ(endpoint("/ping", inference), Endpoint::kPing);
  EXPECT_EQ(endpoint("/ping", management), Endpoint::kUnknown);
  EXPECT_EQ(endpoint("/models", inference), Endpoint::kUnknown);
  EXPECT_EQ(endpoint("/models", management), Endpoint::kModels);
  EXPECT_EQ(endpoint("/models/m/invoke", inference), Endpoint::kPredict);
}

}  // namespace
}  // namespace tensormill
