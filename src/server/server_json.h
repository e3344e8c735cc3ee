#pragma once

#include <nlohmann/json_fwd.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/error.h"
#include "server/http.h"

namespace tensormill {

// Server JSON as clients of the original see it: two blanks of indent, ' < > & = escaped as \u00XX,
// one newline at the end.
std::string server_json(const nlohmann::ordered_json& value);

// The body of every error that the server itself raises: code, type, message.
std::string error_envelope(int status, std::string_view type, std::string_view message);

// An error of routing, managing or admission, with what its clients see.
class ApiError : public std::runtime_error {
 public:
  ApiError(int status, std::string type, const std::string& message)
      : std::runtime_error(message), status_(status), type_(std::move(type)) {}
  int status() const { return status_; }
  const std::string& type() const { return type_; }

 private:
  int status_;
  std::string type_;
};

// Errors of the native code as management clients see them (model errors at load are 500
// EngineException, or 507 without memory).
ApiError api_error(const Error& error);

void reply_json(HttpExchange& exchange, int status, const nlohmann::ordered_json& value);
void reply_status(HttpExchange& exchange, int status, std::string_view text);  // {"status": text}
// The reason phrase of a BadRequestException is its message.
void reply_error(HttpExchange& exchange, const ApiError& error);

}  // namespace tensormill
