// From the messages of a request to the prompt.
#include "base/error.h"
#include "base/json.h"
#include "server/dialects.h"
#include "server/python_json.h"

namespace tensormill {
namespace {

// A parameter that is a list of objects; null where it is absent or empty.
const OrderedJson* object_list(const Parameters& parameters, std::string_view name) {
  const OrderedJson* value = parameters.find(name);
  if (!value) return nullptr;
  if (!value->is_array()) parameters.fail(name, "a list of objects");
  for (const OrderedJson& item : *value) {
    if (!item.is_object()) parameters.fail(name, "a list of objects");
  }
  return value->empty() ? nullptr : value;
}

// Nothing forces a model to call a tool, or one of them.
bool wants_tools(const Parameters& parameters) {
  const OrderedJson* choice = parameters.find("tool_choice");
  if (!choice || *choice == "auto") return true;
  if (*choice == "none") return false;
  throw_error(ErrorKind::kUnsupported,
              "tool_choice: only \"auto\" and \"none\" are supported by this server");
}

struct Ending {
  bool prompt = true;       // the begin of an answer is added
  bool open_ended = false;  // the last message is to be continued
};

Ending read_ending(const Parameters& parameters) {
  Ending ending;
  ending.open_ended = parameters.flag("continue_final_message").value_or(false);
  ending.prompt = parameters.flag("add_generation_prompt").value_or(!ending.open_ended);
  if (ending.open_ended && ending.prompt) {
    throw_error(ErrorKind::kBadRequest,
                "continue_final_message: not together with add_generation_prompt");
  }
  return ending;
}

// Parts of type text, joined.
OrderedJson joined_parts(const OrderedJson& content) {
  std::string text;
  for (const OrderedJson& part : content) text += part["text"].get_ref<const std::string&>();
  return text;
}

[[noreturn]] void fail_content(size_t index) {
  throw_error(ErrorKind::kBadRequest,
              "messages[{}].content: expected a string or a list of parts of type text", index);
}

void check_parts(const OrderedJson& content, size_t index) {
  for (const OrderedJson& part : content) {
    const bool text = part.is_object() && part.contains("type") && part["type"] == "text" &&
                      part.contains("text") && part["text"].is_string();
    if (!text) fail_content(index);
  }
}

// Clients hold arguments as JSON in a string; templates want what it says.
void parse_arguments(OrderedJson& calls) {
  for (OrderedJson& call : calls) {
    if (!call.is_object() || !call.contains("function")) continue;
    OrderedJson& function = call["function"];
    if (!function.is_object() || !function.contains("arguments")) continue;
    OrderedJson& arguments = function["arguments"];
    if (!arguments.is_string()) continue;
    const auto& text = arguments.get_ref<const std::string&>();
    OrderedJson parsed;
    try {
      parsed = parse_body(text.empty() ? "{}" : text);  // with the bounds of a whole body
    } catch (const Error&) {
      continue;  // the template gets the text as it is
    }
    if (parsed.is_object()) arguments = std::move(parsed);
  }
}

OrderedJson read_message(OrderedJson message, size_t index, bool keeps_parts) {
  if (!message.is_object() || !message.contains("role") || !message["role"].is_string())
    throw_error(ErrorKind::kBadRequest, "messages[{}].role: expected a string", index);
  const bool calls = message.contains("tool_calls") && message["tool_calls"].is_array();
  if (calls) parse_arguments(message["tool_calls"]);
  const auto content = message.find("content");
  if (content == message.end() || content->is_null()) {
    if (message["role"] != "assistant") fail_content(index);
    message["content"] = "";
  } else if (content->is_array()) {
    check_parts(*content, index);
    if (!keeps_parts) *content = joined_parts(*content);
  } else if (!content->is_string()) {
    fail_content(index);
  }
  return message;
}

}  // namespace

OrderedJson read_openai_messages(const Parameters& parameters, const DialectContext& context) {
  const OrderedJson* messages = parameters.find("messages");
  if (!messages || !messages->is_array() || messages->empty())
    throw_error(ErrorKind::kBadRequest, "messages: expected a list of at least one message");
  const bool keeps_parts = context.chat_template && context.chat_template->reads_content_parts();
  OrderedJson out = OrderedJson::array();
  for (size_t i = 0; i < messages->size(); ++i)
    out.push_back(read_message((*messages)[i], i, keeps_parts));
  return out;
}

std::string render_chat(const OrderedJson& messages, const Parameters& parameters,
                        const DialectContext& context) {
  if (!context.chat_template) {
    throw_error(ErrorKind::kUnsupported,
                "messages: model {} has no chat template, send a prompt as inputs instead",
                context.model_name);
  }
  OrderedJson variables = OrderedJson::object();
  for (const char* name : {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token",
                           "cls_token", "mask_token"}) {
    if (std::string text = context.tokenizer->special(name); !text.empty())
      variables[name] = std::move(text);
  }
  const OrderedJson* tools = object_list(parameters, "tools");
  const OrderedJson* documents = object_list(parameters, "documents");
  variables["tools"] = tools && wants_tools(parameters) ? *tools : OrderedJson(nullptr);
  variables["documents"] = documents ? *documents : OrderedJson(nullptr);
  if (const OrderedJson* extra = parameters.find("chat_template_kwargs")) {
    if (!extra->is_object()) parameters.fail("chat_template_kwargs", "an object");
    for (const auto& [name, value] : extra->items()) variables[name] = value;
  }
  const Ending ending = read_ending(parameters);
  variables["messages"] = messages;
  variables["add_generation_prompt"] = ending.prompt;
  return ending.open_ended ? context.chat_template->render_open_ended(std::move(variables))
                           : context.chat_template->render(variables);
}

}  // namespace tensormill
