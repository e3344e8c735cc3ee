#include "artifacts/hub_errors.h"

#include <fmt/format.h>

#include <algorithm>

namespace tensormill {
namespace {

// What the server says itself, fit for one line.
std::string said(const WebReply& reply) {
  std::string text = reply.header("x-error-message");
  if (text.size() > 300) text.resize(300);
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 32; }, ' ');
  return text.empty() ? "" : " (\"" + text + "\")";
}

}  // namespace

HubRefusal hub_refusal(const HubModel& model, const HubSettings& hub, const WebReply& reply,
                       const std::string& file) {
  const std::string whole = file.empty() ? model.id : model.id + "/" + file;
  const std::string name =
      model.revision == "main" ? whole : whole + " (revision " + model.revision + ")";
  const std::string& code = reply.header("x-error-code");
  const bool token = !hub.token.empty();
  const std::string detail = said(reply);
  const std::string page = hub.endpoint + "/" + model.id;
  if (code == "GatedRepo" || (reply.status == 403 && code.empty() && !token)) {
    return {
        ErrorKind::kConfigInvalid,
        fmt::format("{}: access is gated{}: accept the licence at {}, then {}", name, detail, page,
                    token ? fmt::format("make sure that the token of {} belongs to that account",
                                        hub.token_source)
                          : "set HF_TOKEN to a token of that account")};
  }
  if (code == "RevisionNotFound") {
    return {ErrorKind::kNotFound,
            fmt::format("{}: no revision {}: expected a branch, a tag or a commit of {}", whole,
                        model.revision, page)};
  }
  if (reply.status == 401 && token) {
    return {ErrorKind::kConfigInvalid,
            fmt::format("{}: {} doesn't accept the token of {}, or there is no such model{}", name,
                        hub.endpoint, hub.token_source, detail)};
  }
  const bool missing = code == "RepoNotFound" || reply.status == 404 || reply.status == 401;
  if (missing && file.empty()) {
    return {ErrorKind::kNotFound,
            fmt::format(
                "{}: {} has no such model, or it is private: check the name{}", name, hub.endpoint,
                token ? fmt::format(" and that the token of {} may read it", hub.token_source)
                      : "; for a private or gated model set HF_TOKEN")};
  }
  if (missing) {
    return {reply.status == 401 ? ErrorKind::kConfigInvalid : ErrorKind::kNotFound,
            fmt::format("{}: status {} from {}{}{}", name, reply.status, hub.endpoint, detail,
                        token ? "" : "; for a private or gated model set HF_TOKEN")};
  }
  if (reply.status == 403) {
    return {ErrorKind::kConfigInvalid,
            fmt::format("{}: {} refuses access{}: make sure that the token of {} may read the "
                        "model",
                        name, hub.endpoint, detail, hub.token_source)};
  }
  if (reply.status == 429) {
    return {ErrorKind::kOverloaded,
            fmt::format("{}: {} has had too many requests and asks to wait for {} s{}; try later{}",
                        name, hub.endpoint,
                        reply.header("retry-after").empty() ? "some" : reply.header("retry-after"),
                        detail, token ? "" : ", or set HF_TOKEN")};
  }
  return {ErrorKind::kInternal,
          fmt::format("{}: status {} from {}{}", name, reply.status, hub.endpoint, detail)};
}

Error hub_error(const HubModel& model, const HubSettings& hub, const WebReply& reply,
                const std::string& file) {
  HubRefusal refusal = hub_refusal(model, hub, reply, file);
  return {refusal.kind, refusal.message};
}

}  // namespace tensormill
