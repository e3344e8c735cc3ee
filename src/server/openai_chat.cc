// POST /v1/chat/completions as OpenAI has it.
#include <chrono>

#include "base/error.h"
#include "base/json.h"
#include "server/dialects.h"
#include "server/python_json.h"

namespace tensormill {
namespace {

struct Style {
  bool stream = false, usage = false, logprobs = false;
  std::string model;
  size_t choices = 1;
};

int64_t unix_time() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string_view finish_word(FinishReason reason) {
  return reason == FinishReason::kLength ? "length" : "stop";
}

class OpenAiFormatter : public Formatter {
 public:
  OpenAiFormatter(Style style, const Tokenizer* tokenizer)
      : style_(std::move(style)),
        choices_(style_.choices),
        tokenizer_(tokenizer),
        id_(completion_id()),
        created_(unix_time()) {}

  void begin(std::span<const SubmittedText> submitted) override {
    if (!submitted.empty()) prompt_tokens_ = submitted.front().prompt_tokens;
  }

 protected:
  struct Choice {
    bool begun = false;
    std::string text, entries;
    FinishReason finish = FinishReason::kNone;
  };

  std::string head(std::string_view object) const {
    return fmt::format(R"({{"id": "{}", "object": "{}", "created": {}, "model": {}, )", id_, object,
                       created_, json_quoted(style_.model));
  }

  std::string usage() const {
    return fmt::format(
        R"("usage": {{"prompt_tokens": {}, "completion_tokens": {}, "total_tokens": {}}})",
        prompt_tokens_, tokens_, prompt_tokens_ + tokens_);
  }

  Style style_;
  std::vector<Choice> choices_;
  const Tokenizer* tokenizer_;
  std::string id_;
  int64_t created_, prompt_tokens_ = 0, tokens_ = 0;
};

class WholeFormatter final : public OpenAiFormatter {
 public:
  using OpenAiFormatter::OpenAiFormatter;
  std::string content_type() const override { return "application/json"; }
  bool chunked() const override { return false; }

  std::string on_event(size_t input, TokenEvent& event) override {
    if (is_failure(event.finish)) throw Error(ErrorKind::kInternal, failure_text(event));
    Choice& choice = choices_.at(input);
    choice.text += event.text;
    if (event.finish != FinishReason::kNone) choice.finish = event.finish;
    if (event.token < 0) return {};
    ++tokens_;
    if (style_.logprobs) {
      if (!choice.entries.empty()) choice.entries += ", ";
      choice.entries += logprob_entry(event, *tokenizer_);
    }
    return {};
  }

  std::string finish() override {
    std::string out = head("chat.completion") + "\"choices\": [";
    for (size_t i = 0; i < choices_.size(); ++i) {
      const Choice& choice = choices_[i];
      if (i > 0) out += ", ";
      out += fmt::format(
          R"({{"index": {}, "message": {{"role": "assistant", "content": {}, "refusal": null}}, )",
          i, json_quoted(choice.text));
      out += "\"logprobs\": ";
      out +=
          style_.logprobs ? "{\"content\": [" + choice.entries + "], \"refusal\": null}" : "null";
      out += fmt::format(R"(, "finish_reason": "{}"}})", finish_word(choice.finish));
    }
    return out + "], " + usage() + "}";
  }
};

class StreamFormatter final : public OpenAiFormatter {
 public:
  using OpenAiFormatter::OpenAiFormatter;
  std::string content_type() const override { return "text/event-stream"; }
  bool chunked() const override { return true; }

  std::string on_event(size_t input, TokenEvent& event) override {
    if (is_failure(event.finish)) return failure(event);
    Choice& choice = choices_.at(input);
    std::string out;
    if (!std::exchange(choice.begun, true))
      out += chunk(input, R"({"role": "assistant", "content": ""})", "null", "null");
    if (event.token >= 0) ++tokens_;
    const bool logprobs = style_.logprobs && event.token >= 0;
    if (!event.text.empty() || logprobs) {
      out += chunk(input, fmt::format(R"({{"content": {}}})", json_quoted(event.text)),
                   logprobs ? fmt::format(R"({{"content": [{}], "refusal": null}})",
                                          logprob_entry(event, *tokenizer_))
                            : "null",
                   "null");
    }
    if (event.finish != FinishReason::kNone)
      out += chunk(input, "{}", "null", fmt::format("\"{}\"", finish_word(event.finish)));
    return out;
  }

  std::string finish() override {
    std::string out;
    if (style_.usage && !failed_)
      out = "data: " + head("chat.completion.chunk") + "\"choices\": [], " + usage() + "}\n\n";
    return out + "data: [DONE]\n\n";
  }

 private:
  std::string chunk(size_t index, std::string_view delta, std::string_view logprobs,
                    std::string_view finish) const {
    return fmt::format(R"(data: {}"choices": [{{"index": {}, "delta": {}, "logprobs": {}, )"
                       R"("finish_reason": {}}}]{}}})"
                       "\n\n",
                       head("chat.completion.chunk"), index, delta, logprobs, finish,
                       style_.usage ? ", \"usage\": null" : "");
  }

  std::string failure(const TokenEvent& event) {
    failed_ = true;
    return fmt::format(R"(data: {{"error": {{"message": {}, "type": "server_error", )"
                       R"("param": null, "code": null}}}})"
                       "\n\n",
                       json_quoted(failure_text(event)));
  }

  bool failed_ = false;
};

// What OpenAI knows and this server doesn't do yet.
void refuse_unsupported(const Parameters& parameters) {
  for (const char* name : {"functions", "logit_bias", "modalities", "audio", "chat_template"}) {
    const OrderedJson* value = parameters.find(name);
    if (!value || value->empty()) continue;
    if (*value == OrderedJson::array({"text"})) continue;
    throw_error(ErrorKind::kUnsupported, "{}: not supported by this server", name);
  }
  if (const OrderedJson* format = parameters.find("response_format")) {
    const bool text =
        format->is_object() && format->contains("type") && (*format)["type"] == "text";
    if (!text)
      throw_error(ErrorKind::kUnsupported,
                  "response_format: only {{\"type\": \"text\"}} is supported");
  }
}

// What a request leaves out is as the model's authors set it in generation_config.json.
TextRequest read_request(const Parameters& parameters, const DialectContext& context) {
  const GenerationDefaults& defaults = *context.generation;
  TextRequest request;
  request.add_special = false;
  auto most = parameters.integer("max_completion_tokens", 1, kMaxTokenCount);
  if (!most) most = parameters.integer("max_tokens", 1, kMaxTokenCount);
  if (most) request.max_new_tokens = static_cast<int32_t>(*most);
  if (!most) request.max_new_tokens = defaults.max_new_tokens;
  request.max_length = defaults.max_length;
  GenerationRequest& generation = request.generation;
  // As in generate, where both are set the new tokens win.
  generation.min_new_tokens = defaults.min_new_tokens.value_or(0);
  if (!defaults.min_new_tokens) request.min_length = defaults.min_length.value_or(0);
  SamplingParams& sampling = generation.sampling;
  sampling = default_sampling(defaults);
  const double temperature =
      parameters.number("temperature", 0, 2).value_or(static_cast<double>(sampling.temperature));
  sampling.sample = temperature > 0;
  sampling.temperature = sampling.sample ? static_cast<float>(temperature) : 1.0f;
  const auto real = [&parameters](const char* name, double low, double high, float& value,
                                  bool open = false) {
    if (const auto given = parameters.number(name, low, high, open))
      value = static_cast<float>(*given);
  };
  real("top_p", 0, 1, sampling.top_p, true);
  real("min_p", 0, 1, sampling.min_p);
  real("presence_penalty", -2, 2, sampling.presence_penalty);
  real("frequency_penalty", -2, 2, sampling.frequency_penalty);
  real("repetition_penalty", 0, 1e6, sampling.repetition_penalty, true);
  sampling.top_k =
      static_cast<int32_t>(parameters.integer("top_k", 0, kMaxTokenCount).value_or(sampling.top_k));
  sampling.seed = parameters.seed("seed").value_or(random_seed());
  generation.eos_ids = ends_of_text(context);
  generation.stop_strings = parameters.texts("stop", true);
  if (!parameters.find("stop")) generation.stop_strings = defaults.stop_strings;
  generation.include_stop = false;
  generation.ignore_eos = parameters.flag("ignore_eos").value_or(false);
  return request;
}

void read_logprobs(const Parameters& parameters, Style& style, TextRequest& request) {
  style.logprobs = parameters.flag("logprobs").value_or(false);
  const auto top = parameters.integer("top_logprobs", 0, 20);
  if (top && !style.logprobs) parameters.fail("top_logprobs", "logprobs to be true with it");
  request.generation.log_probs = style.logprobs;
  if (style.logprobs) request.generation.top_log_probs = static_cast<int32_t>(top.value_or(0));
}

}  // namespace

ParsedCall parse_openai_chat(std::string_view data, const DialectContext& context) {
  constexpr int64_t kMaxChoices = 16;
  const OrderedJson body = parse_body(data);
  if (!body.is_object()) {
    throw_error(ErrorKind::kBadRequest, "body: a {}, expected an object", python_type_name(body));
  }
  const Parameters parameters(body);
  refuse_unsupported(parameters);
  const OrderedJson messages = read_openai_messages(parameters, context);
  TextRequest request = read_request(parameters, context);
  Style style;
  read_logprobs(parameters, style, request);
  style.stream = parameters.flag("stream").value_or(false);
  if (const OrderedJson* options = parameters.find("stream_options")) {
    if (!options->is_object()) parameters.fail("stream_options", "an object");
    style.usage = Parameters(*options).flag("include_usage").value_or(false);
  }
  style.model = parameters.text("model").value_or(std::string(context.model_name));
  style.choices = static_cast<size_t>(parameters.integer("n", 1, kMaxChoices).value_or(1));
  request.prompt = render_chat(messages, parameters, context);

  ParsedCall call;
  for (size_t i = 0; i < style.choices; ++i) {
    call.requests.push_back(request);
    call.requests.back().generation.sampling.seed += i;
  }
  if (style.stream) {
    call.formatter = std::make_unique<StreamFormatter>(std::move(style), context.tokenizer);
  } else {
    call.formatter = std::make_unique<WholeFormatter>(std::move(style), context.tokenizer);
  }
  return call;
}

}  // namespace tensormill
