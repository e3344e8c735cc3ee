#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "server/http.h"
#include "server/server_json.h"

namespace tensormill {

// What POST /models asks for.
struct Registration {
  std::string item;  // as in load_models: [name:version:engine:devices]=url
  std::vector<std::pair<std::string, std::string>> parameters;  // settings of the model
  std::optional<int> min_workers, max_workers;
  bool synchronous = true;
};

// From the query, or from a JSON body of type application/json. Errors: ApiError 400.
Registration read_registration(const HttpRequest& request);

// A query value as int; none: absent or empty. Errors: ApiError 500 NumberFormatException, as the
// original answers it.
std::optional<int> integer_parameter(const HeaderList& fields, std::string_view name);

// A failed load as the client of POST /models sees it.
ApiError load_error(const Error& error);

}  // namespace tensormill
