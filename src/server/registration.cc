#include "server/registration.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>

#include "base/json.h"
#include "server/server_json.h"

namespace tensormill {
namespace {

// The values of a JSON body as text, as if they had come in the query.
HeaderList body_fields(const HttpRequest& request) {
  const Json body = Json::parse(request.body, nullptr, false);
  if (!body.is_object()) {
    throw ApiError(400, "BadRequestException",
                   "The body of POST /models must be a JSON object with the key url.");
  }
  HeaderList fields;
  for (const auto& [key, value] : body.items()) {
    if (value.is_null()) continue;
    if (value.is_structured()) {
      throw ApiError(400, "BadRequestException",
                     fmt::format("{}: expected a string, number or boolean", key));
    }
    fields.emplace_back(key, value.is_string() ? value.get<std::string>() : value.dump());
  }
  return fields;
}

// The fields become one item "name:version:engine:device=url".
void check_field(std::string_view key, std::string_view value) {
  constexpr size_t kMaxLength = 256;
  const auto odd = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f ||
           std::string_view(":=[]").find(c) != std::string_view::npos;
  };
  if (value.size() <= kMaxLength && std::none_of(value.begin(), value.end(), odd)) return;
  throw ApiError(400, "BadRequestException",
                 fmt::format("{}: expected at most {} bytes without control characters and : = [ ]",
                             key, kMaxLength));
}

}  // namespace

std::optional<int> integer_parameter(const HeaderList& fields, std::string_view name) {
  const std::string* text = find_value(fields, name);
  if (!text || text->empty()) return std::nullopt;
  int value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || end != text->data() + text->size()) {
    throw ApiError(500, "NumberFormatException", fmt::format("For input string: \"{}\"", *text));
  }
  return value;
}

Registration read_registration(const HttpRequest& request) {
  const std::string* type = find_header(request.headers, "content-type");
  const bool json = type && contains_ignoring_case(*type, "application/json");
  const HeaderList fields = json ? body_fields(request) : request.query;
  const auto text = [&](std::string_view name) {
    const std::string* value = find_value(fields, name);
    return value ? *value : std::string();
  };
  const std::string url = text("url");
  if (url.empty()) throw ApiError(400, "BadRequestException", "Parameter url is required.");
  for (const char* key : {"model_name", "model_version", "engine", "device"})
    check_field(key, text(key));
  Registration registration;
  registration.item = fmt::format("{}:{}:{}:{}={}", text("model_name"), text("model_version"),
                                  text("engine"), text("device"), url);
  for (const char* key : {"job_queue_size", "batch_size", "max_batch_delay", "max_idle_time"}) {
    if (const auto value = integer_parameter(fields, key)) {
      registration.parameters.emplace_back(key, std::to_string(*value));
    }
  }
  for (const auto& [key, value] : fields) {
    if (key.rfind("option.", 0) == 0) registration.parameters.emplace_back(key, value);
  }
  registration.min_workers = integer_parameter(fields, "min_worker");
  registration.max_workers = integer_parameter(fields, "max_worker");
  const std::string synchronous = text("synchronous");
  registration.synchronous = synchronous.empty() || equals_ignoring_case(synchronous, "true");
  return registration;
}

ApiError load_error(const Error& error) {
  if (error.kind() == ErrorKind::kOutOfMemory) {
    spdlog::error("out of memory: {}", error.what());
    return api_error(error);
  }
  return {500, "EngineException",
          fmt::format("Failed to initialize model: prediction failure: {}", error.what())};
}

}  // namespace tensormill
