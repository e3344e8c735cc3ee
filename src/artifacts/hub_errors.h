#pragma once

#include <string>

#include "artifacts/hub.h"
#include "artifacts/web_client.h"

namespace tensormill {

// What a refusing reply of the hub means and what to do about it. `file` "": of the whole model.
struct HubRefusal {
  ErrorKind kind;
  std::string message;
};
HubRefusal hub_refusal(const HubModel& model, const HubSettings& hub, const WebReply& reply,
                       const std::string& file);
Error hub_error(const HubModel& model, const HubSettings& hub, const WebReply& reply,
                const std::string& file);

}  // namespace tensormill
