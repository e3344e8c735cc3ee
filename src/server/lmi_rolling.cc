// LMI's rolling mode: lmi-contract 3.1.
#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "server/dialects.h"
#include "server/python_json.h"

namespace tensormill {
namespace {

enum class Output : uint8_t { kJson, kJsonLines, kNone, kSse, kJsonChat, kJsonLinesChat };

struct Style {
  Output output = Output::kJson;
  bool list = false;  // inputs came as a list
  bool details = false, return_full_text = false;
  std::vector<std::string> prompts;
};

std::string token_fields(const TokenEvent& event) {
  std::string out = fmt::format("{{\"id\": [{}]", event.token);
  if (!event.special) out += ", \"text\": " + json_quoted(event.text);
  out += ", \"log_prob\": " + json_float(event.log_prob);
  if (event.special) out += ", \"special_token\": true";
  return out + "}";
}

std::string detail_fields(FinishReason finish, int64_t tokens, std::string_view prompt) {
  return fmt::format("\"finish_reason\": \"{}\", \"generated_tokens\": {}, \"inputs\": {}",
                     lmi_finish_reason(finish), tokens, json_quoted(prompt));
}

// One JSON object, or an array of them for a list of inputs; sent piece by piece.
class JsonFormatter final : public Formatter {
 public:
  explicit JsonFormatter(Style style) : style_(std::move(style)), parts_(style_.prompts.size()) {}

  std::string content_type() const override { return "application/json"; }
  bool chunked() const override { return true; }
  void begin(std::span<const SubmittedText>) override {}

  std::string on_event(size_t input, TokenEvent& event) override {
    Part& part = parts_.at(input);
    std::string out;
    if (!part.open) {
      part.open = true;
      out = "{\"generated_text\": \"";
      if (style_.return_full_text) out += json_escaped(style_.prompts[input]);
    }
    out += json_escaped(event.text);
    if (event.token >= 0) {
      ++part.tokens;
      if (style_.details) {
        if (!part.details.empty()) part.details += ", ";
        part.details += token_fields(event);
      }
    }
    if (event.finish != FinishReason::kNone) {
      out += end(input, event);
      part.done = true;
    }
    part.waiting += out;
    return ready();
  }

  std::string finish() override { return style_.list ? "]" : ""; }

 private:
  struct Part {
    bool open = false, done = false;
    int64_t tokens = 0;
    std::string details, waiting;
  };

  std::string end(size_t input, const TokenEvent& event) const {
    const Part& part = parts_[input];
    const bool failed = is_failure(event.finish);
    std::string out = "\"";
    if (style_.details || failed) {
      out += ", \"details\": {" + detail_fields(event.finish, part.tokens, style_.prompts[input]);
      if (style_.details) out += ", \"tokens\": [" + part.details + "]";
      out += "}";
    }
    if (failed) out += ", \"error\": " + json_quoted(failure_text(event)) + ", \"code\": 424";
    return out + "}";
  }

  // What may be sent: the objects of a list stand in the order of the inputs.
  std::string ready() {
    std::string out;
    for (; current_ < parts_.size(); ++current_) {
      Part& part = parts_[current_];
      if (part.waiting.empty() && !part.done) break;
      if (style_.list && !part.waiting.empty() && !begun_) out += current_ == 0 ? "[" : ", ";
      begun_ = true;
      out += std::exchange(part.waiting, {});
      if (!part.done) break;
      begun_ = false;
    }
    return out;
  }

  Style style_;
  std::vector<Part> parts_;
  size_t current_ = 0;
  bool begun_ = false;  // the current object's first bytes went out
};

// One line per token; with a list of inputs each line tells its input.
class LinesFormatter final : public Formatter {
 public:
  explicit LinesFormatter(Style style) : style_(std::move(style)), parts_(style_.prompts.size()) {}

  std::string content_type() const override {
    if (style_.output == Output::kNone) return "text/plain";
    return style_.output == Output::kSse ? "text/event-stream" : "application/jsonlines";
  }
  bool chunked() const override { return true; }
  void begin(std::span<const SubmittedText>) override {}

  std::string on_event(size_t input, TokenEvent& event) override {
    Part& part = parts_.at(input);
    if (event.token >= 0) ++part.tokens;
    if (style_.output == Output::kNone) return raw(part, input, event);
    std::string line;
    if (is_failure(event.finish)) {
      line = rolling_error(failure_text(event));
      if (style_.list) line.insert(1, fmt::format("\"index\":{},", input));
    } else {
      part.text += event.text;
      line = fields(part, input, event);
      if (line.empty()) return line;
    }
    return style_.output == Output::kSse ? "data: " + line + "\n\n" : line + "\n";
  }

  std::string finish() override { return {}; }

 private:
  struct Part {
    int64_t tokens = 0;
    bool begun = false;
    std::string text;
  };

  std::string raw(Part& part, size_t input, const TokenEvent& event) const {
    if (is_failure(event.finish)) return rolling_error(failure_text(event));
    const bool full = style_.return_full_text && !std::exchange(part.begun, true);
    return full ? style_.prompts[input] + event.text : event.text;
  }

  std::string fields(const Part& part, size_t input, const TokenEvent& event) const {
    std::vector<std::string> items;
    if (style_.list) items.push_back(fmt::format("\"index\": {}", input));
    if (event.token >= 0) items.push_back("\"token\": " + token_fields(event));
    if (event.finish != FinishReason::kNone) {
      const std::string& prompt = style_.prompts[input];
      const std::string text = style_.return_full_text ? prompt + part.text : part.text;
      items.push_back("\"generated_text\": " + json_quoted(text));
      if (style_.details) {
        items.push_back("\"details\": {" + detail_fields(event.finish, part.tokens, prompt) + "}");
      }
    } else if (event.token < 0) {
      return {};
    }
    return fmt::format("{{{}}}", fmt::join(items, ", "));
  }

  Style style_;
  std::vector<Part> parts_;
};

Output choose_output(const Parameters& parameters, const Settings& settings, bool stream) {
  static constexpr std::pair<std::string_view, Output> kOutputs[] = {
      {"json", Output::kJson},          {"jsonlines", Output::kJsonLines},
      {"none", Output::kNone},          {"sse", Output::kSse},
      {"json_chat", Output::kJsonChat}, {"jsonlines_chat", Output::kJsonLinesChat}};
  const std::string name =
      parameters.text("output_formatter").value_or(settings.text("option.output_formatter"));
  for (const auto& [known, output] : kOutputs) {
    if (known == name) return output;
  }
  if (!name.empty()) spdlog::warn("unknown output_formatter {}: chosen by stream", name);
  return stream ? Output::kJsonLines : Output::kJson;
}

void warn_of_unknown(const OrderedJson& parameters) {
  static constexpr std::string_view kKnown[] = {"max_new_tokens",
                                                "do_sample",
                                                "temperature",
                                                "top_k",
                                                "top_p",
                                                "typical_p",
                                                "repetition_penalty",
                                                "seed",
                                                "stop_sequences",
                                                "truncate",
                                                "details",
                                                "return_full_text",
                                                "output_formatter",
                                                "stream",
                                                "watermark",
                                                "ignore_eos_token",
                                                "ignore_eos",
                                                "min_p",
                                                "presence_penalty",
                                                "frequency_penalty"};
  for (const auto& item : parameters.items()) {
    if (std::find(std::begin(kKnown), std::end(kKnown), item.key()) == std::end(kKnown)) {
      spdlog::info("parameter {} is not known and ignored; known are {}", json_quoted(item.key()),
                   fmt::join(kKnown, ", "));
    }
  }
}

// Everything but the prompt, checked before anything is queued.
TextRequest read_request(const Parameters& parameters, const DialectContext& context) {
  TextRequest request;
  request.max_new_tokens =
      static_cast<int32_t>(parameters.integer("max_new_tokens", 1, kMaxTokenCount).value_or(30));
  request.truncate =
      static_cast<int32_t>(parameters.integer("truncate", 0, kMaxTokenCount).value_or(0));
  GenerationRequest& generation = request.generation;
  const bool sample = parameters.flag("do_sample").value_or(false);
  // As in the original, a warper samples even where do_sample is false.
  generation.sampling.sample = read_warpers(parameters, generation.sampling).any || sample;
  generation.sampling.seed = parameters.seed("seed").value_or(random_seed());
  generation.stop_strings = parameters.texts("stop_sequences", false);
  generation.eos_ids = ends_of_text(context);
  generation.ignore_eos = parameters.flag("ignore_eos").value_or(false);
  return request;
}

[[noreturn]] void refuse_body(const OrderedJson& body) {
  if (body.is_array())
    throw Error(ErrorKind::kBadRequest, "pop expected at most 1 argument, got 2");
  throw_error(ErrorKind::kBadRequest, "'{}' object has no attribute 'pop'", python_type_name(body));
}

}  // namespace

ParsedCall parse_lmi_rolling(const Body& body, std::string_view data,
                             const DialectContext& context) {
  OrderedJson json = OrderedJson::object();
  if (body.json) {
    json = parse_body(data);
    if (!json.is_object()) refuse_body(json);
    if (json.contains("messages")) return parse_lmi_chat(json, context);
  } else {
    json["inputs"] = body.text;
  }
  Inputs inputs = read_inputs(json);
  OrderedJson given = OrderedJson::object();
  if (const auto found = json.find("parameters"); found != json.end()) {
    if (found->is_null())
      throw Error(ErrorKind::kBadRequest, "'NoneType' object does not support item assignment");
    if (!found->is_object()) {
      throw_error(ErrorKind::kBadRequest, "parameters: {}, expected an object",
                  python_type_name(*found));
    }
    given = *found;
  }
  warn_of_unknown(given);
  const Parameters parameters(given);
  TextRequest request = read_request(parameters, context);
  Style style;
  style.output = choose_output(parameters, *context.settings, Parameters(json).truthy("stream"));
  style.list = inputs.list;
  style.details = parameters.truthy("details");
  style.return_full_text = parameters.truthy("return_full_text");
  const bool lines = style.output == Output::kJsonLines || style.output == Output::kSse;
  request.generation.log_probs = lines || (style.output == Output::kJson && style.details);

  ParsedCall call;
  for (const std::string& prompt : inputs.prompts) {
    call.requests.push_back(request);
    call.requests.back().prompt = prompt;
  }
  const bool chat = style.output == Output::kJsonChat || style.output == Output::kJsonLinesChat;
  if (chat && inputs.prompts.size() > 1) {
    throw_error(ErrorKind::kBadRequest,
                "inputs: a list of {}, expected one string for the chat output formatters",
                inputs.prompts.size());
  }
  style.prompts = std::move(inputs.prompts);
  if (chat) {
    call.formatter =
        lmi_chat_formatter({style.output == Output::kJsonLinesChat, false}, context.tokenizer);
  } else if (style.output == Output::kJson) {
    call.formatter = std::make_unique<JsonFormatter>(std::move(style));
  } else {
    call.formatter = std::make_unique<LinesFormatter>(std::move(style));
  }
  return call;
}

}  // namespace tensormill
