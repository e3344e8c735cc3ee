#include "server/server_json.h"

#include "base/json.h"

namespace tensormill {

std::string server_json(const OrderedJson& value) {
  const std::string plain = value.dump(2, ' ', false, OrderedJson::error_handler_t::replace);
  std::string out;
  out.reserve(plain.size() + 1);
  // These five stand inside strings only, so that replacing them everywhere is right.
  for (const char c : plain) {
    switch (c) {
      case '\'':
        out += "\\u0027";
        break;
      case '<':
        out += "\\u003c";
        break;
      case '>':
        out += "\\u003e";
        break;
      case '&':
        out += "\\u0026";
        break;
      case '=':
        out += "\\u003d";
        break;
      default:
        out += c;
    }
  }
  return out += '\n';
}

std::string error_envelope(int status, std::string_view type, std::string_view message) {
  return server_json(OrderedJson{{"code", status}, {"type", type}, {"message", message}});
}

ApiError api_error(const Error& error) {
  switch (error.kind()) {
    case ErrorKind::kBadRequest:
      return {400, "BadRequestException", error.what()};
    case ErrorKind::kNotFound:
      return {404, "ModelNotFoundException", error.what()};
    case ErrorKind::kConflict:
      return {409, "BadRequestException", error.what()};
    case ErrorKind::kOverloaded:
      return {503, "WlmCapacityException", error.what()};
    case ErrorKind::kTimeout:
      return {503, "WlmException", error.what()};
    case ErrorKind::kOutOfMemory:
      return {507, "EngineException", "OOM"};  // the text that multi-model platforms look for
    case ErrorKind::kUnsupported:
    case ErrorKind::kArtifactInvalid:
    case ErrorKind::kConfigInvalid:
    case ErrorKind::kInternal:
      break;
  }
  return {500, "EngineException", error.what()};
}

void reply_json(HttpExchange& exchange, int status, const OrderedJson& value) {
  exchange.reply({status, "", {{"content-type", "application/json"}}}, server_json(value));
}

void reply_status(HttpExchange& exchange, int status, std::string_view text) {
  reply_json(exchange, status, OrderedJson{{"status", text}});
}

void reply_error(HttpExchange& exchange, const ApiError& error) {
  HttpHead head{error.status(), "", {{"content-type", "application/json"}}};
  if (error.type() == "BadRequestException") head.reason = header_safe(error.what());
  exchange.reply(std::move(head), error_envelope(error.status(), error.type(), error.what()));
}

}  // namespace tensormill
