#include "server/dialect.h"

#include <algorithm>
#include <cctype>
#include <chrono>

#include "base/error.h"
#include "base/json.h"
#include "server/dialects.h"
#include "server/python_json.h"

namespace tensormill {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// OpenAI's error object. Messages of parameters begin with the parameter's name and a colon.
Reply openai_error(const Error& error) {
  struct Row {
    ErrorKind kind;
    int status;
    const char *type, *code;
  };
  static constexpr Row kRows[] = {
      {ErrorKind::kBadRequest, 400, "invalid_request_error", nullptr},
      {ErrorKind::kUnsupported, 400, "invalid_request_error", "unsupported"},
      {ErrorKind::kNotFound, 404, "invalid_request_error", "model_not_found"},
      {ErrorKind::kConflict, 409, "invalid_request_error", nullptr},
      {ErrorKind::kOverloaded, 503, "server_error", "overloaded"},
      {ErrorKind::kTimeout, 503, "server_error", "timeout"},
  };
  Row row{error.kind(), 500, "server_error", nullptr};
  for (const Row& known : kRows) {
    if (known.kind == error.kind()) row = known;
  }
  const std::string_view message = error.what();
  const size_t colon = message.find(": ");
  const auto in_name = [](char c) {
    return std::islower(static_cast<unsigned char>(c)) || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '[' || c == ']';
  };
  const bool named = row.status == 400 && colon != std::string_view::npos && colon > 0 &&
                     colon < 60 && std::all_of(message.begin(), message.begin() + colon, in_name);
  const auto text_or_null = [](const char* text) {
    return text ? OrderedJson(text) : OrderedJson(nullptr);
  };
  OrderedJson inner;
  inner["message"] = std::string(message);
  inner["type"] = row.type;
  inner["param"] =
      named ? OrderedJson(std::string(message.substr(0, colon))) : OrderedJson(nullptr);
  inner["code"] = text_or_null(row.code);
  OrderedJson outer;
  outer["error"] = std::move(inner);
  return {row.status, "", "application/json",
          outer.dump(-1, ' ', false, OrderedJson::error_handler_t::replace)};
}

Reply envelope(int status, std::string_view type, const Error& error) {
  return {status, "", "application/json",
          fmt::format("{{\n  \"code\": {},\n  \"type\": \"{}\",\n  \"message\": {}\n}}\n", status,
                      type, json_quoted(error.what()))};
}

}  // namespace

Body decode_body(std::string_view content_type, std::string_view data) {
  const std::string type = lower(content_type);
  Body body;
  if (type.empty() && data.empty()) return body;
  if (type.empty() || contains(type, "application/json")) {
    body.json = true;
    return body;
  }
  const bool form = contains(type, "form-urlencoded") || contains(type, "multipart/");
  if (!form && !contains(type, "text/plain")) {
    throw_error(ErrorKind::kBadRequest, "content-type: {}, expected application/json or text/plain",
                content_type);
  }
  if (form && !data.empty() && data.front() == '{') {  // curl -d without a type
    body.json = true;
    return body;
  }
  check_utf8(data, "body");
  body.text = std::string(data);
  return body;
}

Inputs read_inputs(const OrderedJson& body) {
  constexpr size_t kMaxInputs = 1024;
  const auto found = body.find("inputs");
  const auto fail = [](std::string_view what) {
    throw_error(ErrorKind::kBadRequest, "inputs: {}, expected a string or a list of strings", what);
  };
  Inputs inputs;
  if (found == body.end()) fail("missing");
  if (found->is_string()) {
    inputs.prompts.push_back(found->get<std::string>());
    return inputs;
  }
  if (!found->is_array()) fail(python_type_name(*found));
  if (found->empty()) fail("an empty list");
  if (found->size() > kMaxInputs) fail(fmt::format("a list of more than {}", kMaxInputs));
  inputs.list = true;
  for (const OrderedJson& item : *found) {
    if (!item.is_string()) fail(fmt::format("a list with a {}", python_type_name(item)));
    inputs.prompts.push_back(item.get<std::string>());
  }
  return inputs;
}

std::vector<int32_t> ends_of_text(const DialectContext& context) {
  std::vector<int32_t> ids = context.model->eos_ids;
  const auto own = context.tokenizer->id_of(context.tokenizer->special("eos_token"));
  if (own && std::find(ids.begin(), ids.end(), *own) == ids.end()) ids.push_back(*own);
  return ids;
}

std::string_view lmi_finish_reason(FinishReason reason) {
  switch (reason) {
    case FinishReason::kLength:
      return "length";
    case FinishReason::kEos:
      return "eos_token";
    case FinishReason::kStop:
      return "stop_sequence";
    default:
      return "error";
  }
}

bool is_failure(FinishReason reason) {
  return reason == FinishReason::kError || reason == FinishReason::kCancelled;
}

std::string failure_text(const TokenEvent& event) {
  if (!event.error.empty()) return event.error;
  return event.finish == FinishReason::kCancelled ? "the request was cancelled" : "";
}

std::string rolling_error(std::string_view message) {
  std::string safe;
  for (const char c : json_quoted(message)) {
    if (std::string_view("'<>&=").find(c) != std::string_view::npos) {
      safe += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      safe += c;
    }
  }
  return fmt::format("{{\"error\":{},\"code\":424}}", safe);
}

std::string logprob_entry(const TokenEvent& event, const Tokenizer& tokenizer) {
  const auto entry = [](std::string_view text, float log_prob) {
    std::string bytes;
    for (const char c : text) {
      if (!bytes.empty()) bytes += ", ";
      bytes += std::to_string(static_cast<unsigned char>(c));
    }
    return fmt::format("\"token\": {}, \"logprob\": {}, \"bytes\": [{}]", json_quoted(text),
                       json_float(log_prob), bytes);
  };
  const auto text_of = [&tokenizer](int32_t id) {
    if (tokenizer.is_special(id)) return tokenizer.token(id);
    const int32_t ids[] = {id};
    return tokenizer.decode(ids, false);
  };
  std::string top;
  for (const TopToken& token : event.top) {
    if (!top.empty()) top += ", ";
    top += fmt::format("{{{}}}", entry(text_of(token.id), token.log_prob));
  }
  const std::string text = event.token_text.empty() ? text_of(event.token) : event.token_text;
  return fmt::format("{{{}, \"top_logprobs\": [{}]}}", entry(text, event.log_prob), top);
}

ParsedCall parse_call(Dialect dialect, std::string_view content_type, std::string_view data,
                      const DialectContext& context) {
  if (dialect == Dialect::kOpenAi) return parse_openai_chat(data, context);
  const Body body = decode_body(content_type, data);
  return dialect == Dialect::kLmiRolling ? parse_lmi_rolling(body, data, context)
                                         : parse_lmi_dynamic(body, data, context);
}

Reply error_reply(Dialect dialect, const Error& error, const Settings& settings) {
  if (dialect == Dialect::kOpenAi) return openai_error(error);
  if (error.kind() == ErrorKind::kOverloaded) return envelope(503, "WlmCapacityException", error);
  if (error.kind() == ErrorKind::kTimeout) return envelope(503, "WlmException", error);
  if (error.kind() == ErrorKind::kNotFound) return envelope(404, "ModelNotFoundException", error);
  if (dialect == Dialect::kLmiRolling) {
    const bool real = settings.flag("option.error_status");
    return {real ? 424 : 200, real ? "prediction failure" : "", "application/json",
            rolling_error(error.what())};
  }
  return {
      424, "prediction failure", "application/json",
      fmt::format("{{\n  \"code\":424,\n  \"message\":\"prediction failure\",\n  \"error\":{}\n}}",
                  json_quoted(error.what()))};
}

}  // namespace tensormill
