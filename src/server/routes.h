#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tensormill {

enum class Endpoint : uint8_t {
  kUnknown,
  kRoot,
  kPing,
  kInvocations,  // /invocations
  kPredict,      // /predictions/{model}[/{version}], /models/{model}/invoke
  kOpenAiCall,   // /v1/chat/completions
  kOpenAiModels,
  kModels,
  kModel,
  kWorkflows,
  kWorkflow,
  kAdapters,
  kAdapter,
  kServerLogging,
  kServerMetrics,
  kHealthLive,
  kHealthReady,
};

struct Route {
  Endpoint endpoint = Endpoint::kUnknown;
  std::string model, version, adapter;
};

// Which API a listener serves; both bits where the two addresses are the same.
struct ListenerRole {
  bool inference = true, management = true;
};

// From the path as it was sent, so that a name may hold a "%2F"; kUnknown where the listener
// doesn't serve it.
Route find_route(std::string_view path, ListenerRole role);

}  // namespace tensormill
