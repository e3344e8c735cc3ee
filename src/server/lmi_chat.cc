// LMI's own chat requests in rolling mode: lmi-contract 3.1.7 with the repairs of 7.22.
#include <chrono>

#include "base/error.h"
#include "base/json.h"
#include "server/dialects.h"
#include "server/python_json.h"

namespace tensormill {
namespace {

int64_t unix_time() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

class ChatFormatter final : public Formatter {
 public:
  ChatFormatter(const ChatStyle& style, const Tokenizer* tokenizer)
      : style_(style), tokenizer_(tokenizer), id_(completion_id()), created_(unix_time()) {}

  std::string content_type() const override {
    return style_.stream ? "application/jsonlines" : "application/json";
  }
  bool chunked() const override { return true; }
  void begin(std::span<const SubmittedText> submitted) override {
    if (!submitted.empty()) prompt_tokens_ = submitted.front().prompt_tokens;
  }
  std::string on_event(size_t, TokenEvent& event) override {
    if (event.token >= 0) ++tokens_;
    return style_.stream ? line(event) : piece(event);
  }
  std::string finish() override { return {}; }

 private:
  std::string head(std::string_view object) const {
    return fmt::format(
        "{{\"id\": \"{}\", \"object\": \"{}\", \"created\": {}, \"choices\": [{{\"index\": 0, ",
        id_, object, created_);
  }

  std::string line(const TokenEvent& event) {
    if (is_failure(event.finish)) return rolling_error(failure_text(event)) + "\n";
    std::string out = head("chat.completion.chunk");
    out += "\"delta\": {\"content\": " + json_quoted(event.text);
    if (!std::exchange(begun_, true)) out += ", \"role\": \"assistant\"";
    out += "}, \"logprobs\": ";
    const bool logprobs = style_.logprobs && event.token >= 0;
    out += logprobs ? "{\"content\": [" + logprob_entry(event, *tokenizer_) + "]}" : "null";
    out += ", \"finish_reason\": ";
    out += event.finish == FinishReason::kNone
               ? "null"
               : fmt::format("\"{}\"", lmi_finish_reason(event.finish));
    return out + "}]}\n";
  }

  std::string piece(const TokenEvent& event) {
    std::string out;
    if (!std::exchange(begun_, true)) {
      out = head("chat.completion") + "\"message\": {\"role\": \"assistant\", \"content\": \"";
    }
    out += json_escaped(event.text);
    if (style_.logprobs && event.token >= 0) {
      if (!entries_.empty()) entries_ += ", ";
      entries_ += logprob_entry(event, *tokenizer_);
    }
    if (event.finish != FinishReason::kNone) out += tail(event);
    return out;
  }

  std::string tail(const TokenEvent& event) const {
    std::string out = "\"}, \"logprobs\": ";
    out += style_.logprobs ? "{\"content\": [" + entries_ + "]}" : "null";
    out += fmt::format(", \"finish_reason\": \"{}\"}}], ", lmi_finish_reason(event.finish));
    out += fmt::format(
        "\"usage\": {{\"prompt_tokens\": {}, \"completion_tokens\": {}, \"total_tokens\": {}}}",
        prompt_tokens_, tokens_, prompt_tokens_ + tokens_);
    if (is_failure(event.finish))
      out += ", \"error\": " + json_quoted(failure_text(event)) + ", \"code\": 424";
    return out + "}";
  }

  ChatStyle style_;
  const Tokenizer* tokenizer_;
  std::string id_, entries_;
  int64_t created_, prompt_tokens_ = 0, tokens_ = 0;
  bool begun_ = false;
};

void check_messages(const OrderedJson& messages) {
  if (!messages.is_array() || messages.empty()) {
    throw_error(ErrorKind::kBadRequest, "messages: {}, expected a list of messages",
                messages.is_array() ? "an empty list" : python_type_name(messages));
  }
  for (const OrderedJson& message : messages) {
    if (!message.is_object() || !message.contains("role") || !message.contains("content")) {
      throw Error(
          ErrorKind::kBadRequest,
          "When passing chat dicts as input, each dict must have a 'role' and 'content' key.");
    }
    for (const auto& [key, value] : message.items()) {
      if (!value.is_string()) {
        throw_error(ErrorKind::kBadRequest, "messages: {} is a {}, expected a string",
                    json_quoted(key), python_type_name(value));
      }
    }
  }
}

}  // namespace

std::unique_ptr<Formatter> lmi_chat_formatter(const ChatStyle& style, const Tokenizer* tokenizer) {
  return std::make_unique<ChatFormatter>(style, tokenizer);
}

ParsedCall parse_lmi_chat(const OrderedJson& body, const DialectContext& context) {
  const Parameters parameters(body);
  const OrderedJson& messages = body.at("messages");
  check_messages(messages);
  TextRequest request;
  request.add_special = false;
  request.max_new_tokens =
      static_cast<int32_t>(parameters.integer("max_tokens", 1, kMaxTokenCount).value_or(30));
  GenerationRequest& generation = request.generation;
  SamplingParams& sampling = generation.sampling;
  const double temperature = parameters.number("temperature", 0, 2).value_or(1.0);
  sampling.sample = temperature > 0;
  if (sampling.sample) sampling.temperature = static_cast<float>(temperature);
  sampling.top_p = static_cast<float>(parameters.number("top_p", 0, 1, true).value_or(1.0));
  sampling.presence_penalty =
      static_cast<float>(parameters.number("presence_penalty", -2, 2).value_or(0.0));
  sampling.frequency_penalty =
      static_cast<float>(parameters.number("frequency_penalty", -2, 2).value_or(0.0));
  sampling.seed = parameters.seed("seed").value_or(random_seed());
  generation.stop_strings = parameters.texts("stop", true);
  generation.include_stop = false;
  generation.eos_ids = ends_of_text(context);
  generation.ignore_eos = parameters.flag("ignore_eos").value_or(false);
  ChatStyle style;
  style.stream = parameters.truthy("stream");
  const auto top = parameters.integer("top_logprobs", 0, 20);
  style.logprobs = parameters.flag("logprobs").value_or(false) && top;
  generation.log_probs = style.logprobs;
  if (style.logprobs) generation.top_log_probs = static_cast<int32_t>(*top);
  request.prompt = render_chat(messages, parameters, context);

  ParsedCall call;
  call.requests.push_back(std::move(request));
  call.formatter = lmi_chat_formatter(style, context.tokenizer);
  return call;
}

}  // namespace tensormill
