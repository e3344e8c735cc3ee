#include "server/routes.h"

#include <vector>

#include "server/http_text.h"

namespace tensormill {
namespace {

// "/a/b%20c/" -> {"a", "b c"}; empty segments within stay, so that "//" is no route.
std::vector<std::string> segments(std::string_view path) {
  std::vector<std::string> out;
  if (!path.empty() && path.front() == '/') path.remove_prefix(1);
  if (!path.empty() && path.back() == '/') path.remove_suffix(1);
  while (!path.empty()) {
    const size_t slash = path.find('/');
    out.push_back(percent_decoded(path.substr(0, slash), false));
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return out;
}

Route inference_route(const std::vector<std::string>& parts, std::string_view path) {
  const size_t n = parts.size();
  if (path == "/ping" || path == "/ping/") return {Endpoint::kPing, "", "", ""};
  if (path == "/invocations" || path == "/invocations/")
    return {Endpoint::kInvocations, "", "", ""};
  if (parts[0] == "predictions" && (n == 2 || n == 3) && !parts[1].empty()) {
    return {Endpoint::kPredict, parts[1], n == 3 ? parts[2] : "", ""};
  }
  if (parts[0] == "models" && n == 3 && parts[2] == "invoke" && !parts[1].empty()) {
    return {Endpoint::kPredict, parts[1], "", ""};
  }
  if (path == "/v1/chat/completions") return {Endpoint::kOpenAiCall, "", "", ""};
  if (path == "/v1/models") return {Endpoint::kOpenAiModels, "", "", ""};
  if (path.substr(0, 11) == "/v1/models/" && path.size() > 11) {
    return {Endpoint::kOpenAiModels, std::string(path.substr(11)), "", ""};
  }
  if (path == "/v2/health/live") return {Endpoint::kHealthLive, "", "", ""};
  if (path == "/v2/health/ready") return {Endpoint::kHealthReady, "", "", ""};
  return {};
}

Route management_route(const std::vector<std::string>& parts) {
  const size_t n = parts.size();
  const std::string_view first = parts[0];
  const auto at = [&](size_t i) { return i < n ? parts[i] : std::string(); };
  const bool models = first == "models", workflows = first == "workflows";
  if (models || workflows) {
    if (n == 1) return {models ? Endpoint::kModels : Endpoint::kWorkflows, "", "", ""};
    if (parts[1].empty()) return {};
    if (models && n <= 4 && n >= 3 && parts[2] == "adapters") {
      return {n == 3 ? Endpoint::kAdapters : Endpoint::kAdapter, at(1), "", at(3)};
    }
    if (n <= 3) return {models ? Endpoint::kModel : Endpoint::kWorkflow, at(1), at(2), ""};
  }
  if (first == "adapters" && n <= 2) {
    return {n == 1 ? Endpoint::kAdapters : Endpoint::kAdapter, "", "", at(1)};
  }
  if (first == "server" && n == 2) {
    if (parts[1] == "logging") return {Endpoint::kServerLogging, "", "", ""};
    if (parts[1] == "metrics") return {Endpoint::kServerMetrics, "", "", ""};
  }
  return {};
}

}  // namespace

Route find_route(std::string_view path, ListenerRole role) {
  const auto parts = segments(path);
  if (parts.empty()) return {path == "/" ? Endpoint::kRoot : Endpoint::kUnknown, "", "", ""};
  Route route;
  if (role.inference) route = inference_route(parts, percent_decoded(path, false));
  if (route.endpoint == Endpoint::kUnknown && role.management) route = management_route(parts);
  return route;
}

}  // namespace tensormill
