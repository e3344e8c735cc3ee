// LMI's dynamic mode and its streaming: lmi-contract 3.2 and 3.3.
#include <algorithm>
#include <deque>
#include <optional>

#include "base/error.h"
#include "base/json.h"
#include "server/dialects.h"
#include "server/python_json.h"

namespace tensormill {
namespace {

constexpr int32_t kDefaultLength = 20;          // prompt and output, as Hugging Face has it
constexpr int32_t kDefaultStreamedLength = 50;  // output alone, with enable_streaming true
constexpr int32_t kDefaultTopK = 50;
constexpr size_t kMaxListedIds = 1024;

// [{"generated_text":...}] in the order of the inputs, with the prompts.
class ArrayFormatter final : public Formatter {
 public:
  ArrayFormatter(std::vector<std::vector<int32_t>> prompts, const Tokenizer* tokenizer)
      : ids_(std::move(prompts)), tokenizer_(tokenizer) {}

  std::string content_type() const override { return "application/json"; }
  bool chunked() const override { return false; }
  void begin(std::span<const SubmittedText>) override {}
  std::string on_event(size_t input, TokenEvent& event) override {
    if (is_failure(event.finish)) throw Error(ErrorKind::kInternal, failure_text(event));
    if (event.token >= 0) ids_.at(input).push_back(event.token);
    return {};
  }
  std::string finish() override {
    std::string out = "[";
    for (size_t i = 0; i < ids_.size(); ++i) {
      out += i == 0 ? "\n" : ",\n";
      out += fmt::format("  {{\n    \"generated_text\":{}\n  }}",
                         json_quoted(tokenizer_->decode(ids_[i], true)));
    }
    return out + "\n]";
  }

 private:
  std::vector<std::vector<int32_t>> ids_;  // of prompt and output
  const Tokenizer* tokenizer_;
};

// {"outputs": ["piece of prompt 1", "piece of prompt 2"]}, a line per step.
class StepsFormatter final : public Formatter {
 public:
  StepsFormatter(std::vector<std::string> prompts, bool hugging_face)
      : inputs_(prompts.size()), hugging_face_(hugging_face) {
    if (!hugging_face) return;
    for (size_t i = 0; i < prompts.size(); ++i) inputs_[i].pieces.push_back(std::move(prompts[i]));
  }

  std::string content_type() const override { return "application/jsonlines"; }
  bool chunked() const override { return true; }
  void begin(std::span<const SubmittedText>) override {}

  std::string on_event(size_t input, TokenEvent& event) override {
    Input& part = inputs_.at(input);
    if (event.finish != FinishReason::kNone) part.done = true;
    std::string out;
    if (is_failure(event.finish)) {
      const std::string text = failure_text(event);
      out = hugging_face_ ? fmt::format("{{\"outputs\": {}}}\n", json_quoted(text, true)) : text;
    } else if (event.token >= 0 || !event.text.empty()) {
      part.pieces.push_back(std::move(event.text));
    }
    return lines() + out;
  }
  std::string finish() override { return {}; }

 private:
  struct Input {
    std::deque<std::string> pieces;
    bool done = false;
  };

  // A line needs a piece of every input that goes on; ended ones give empty texts.
  std::string lines() {
    std::string out;
    const auto waits = [](const Input& i) { return i.pieces.empty() && !i.done; };
    const auto has = [](const Input& i) { return !i.pieces.empty(); };
    while (std::none_of(inputs_.begin(), inputs_.end(), waits) &&
           std::any_of(inputs_.begin(), inputs_.end(), has)) {
      std::vector<std::string> row;
      for (Input& input : inputs_) {
        row.push_back(json_quoted(input.pieces.empty() ? "" : input.pieces.front(), true));
        if (!input.pieces.empty()) input.pieces.pop_front();
      }
      out += fmt::format("{{\"outputs\": [{}]}}\n", fmt::join(row, ", "));
    }
    return out;
  }

  std::vector<Input> inputs_;
  bool hugging_face_;
};

constexpr std::string_view kActing[] = {"max_new_tokens",
                                        "max_length",
                                        "min_length",
                                        "min_new_tokens",
                                        "do_sample",
                                        "temperature",
                                        "top_k",
                                        "top_p",
                                        "typical_p",
                                        "min_p",
                                        "repetition_penalty",
                                        "eos_token_id",
                                        "no_repeat_ngram_size",
                                        "num_beams",
                                        "ignore_eos",
                                        "bad_words_ids",
                                        "suppress_tokens",
                                        "begin_suppress_tokens",
                                        "forced_bos_token_id",
                                        "forced_eos_token_id"};
// Arguments of generate without an influence on what one greedy or sampled sequence looks like.
constexpr std::string_view kWithoutEffect[] = {"pad_token_id",
                                               "bos_token_id",
                                               "use_cache",
                                               "length_penalty",
                                               "early_stopping",
                                               "num_return_sequences",
                                               "num_beam_groups",
                                               "diversity_penalty",
                                               "output_scores",
                                               "output_attentions",
                                               "output_hidden_states",
                                               "return_dict_in_generate",
                                               "remove_invalid_values",
                                               "renormalize_logits",
                                               "max_time",
                                               "synced_gpus"};
constexpr std::string_view kUnsupported[] = {"force_words_ids",
                                             "constraints",
                                             "penalty_alpha",
                                             "epsilon_cutoff",
                                             "eta_cutoff",
                                             "sequence_bias",
                                             "forced_decoder_ids",
                                             "encoder_repetition_penalty",
                                             "encoder_no_repeat_ngram_size",
                                             "exponential_decay_length_penalty",
                                             "guidance_scale",
                                             "prompt_lookup_num_tokens"};

template <size_t N>
bool one_of(const std::string_view (&names)[N], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

void check_names(const OrderedJson& parameters) {
  std::vector<std::string> unknown;
  for (const auto& [name, value] : parameters.items()) {
    if (value.is_null() || one_of(kActing, name) || one_of(kWithoutEffect, name)) continue;
    if (one_of(kUnsupported, name))
      throw_error(ErrorKind::kUnsupported, "{}: not supported by this server", name);
    unknown.push_back(python_repr(name));
  }
  if (unknown.empty()) return;
  throw_error(ErrorKind::kBadRequest,
              "The following `model_kwargs` are not used by the model: [{}] (note: typos in the "
              "generate arguments will also show up in this list)",
              fmt::join(unknown, ", "));
}

std::vector<int32_t> token_ids(const Parameters& parameters, std::string_view name,
                               int32_t vocabulary) {
  const OrderedJson* value = parameters.find(name);
  if (!value) return {};
  std::vector<int32_t> ids;
  const auto add = [&](const OrderedJson& item) {
    const bool fits = item.is_number_integer() && item >= 0 && item < vocabulary;
    if (!fits || ids.size() >= kMaxListedIds) {
      parameters.fail(name, fmt::format("a token id below {} or a list of them", vocabulary));
    }
    ids.push_back(item.get<int32_t>());
  };
  if (value->is_array()) {
    for (const OrderedJson& item : *value) add(item);
  } else {
    add(*value);
  }
  return ids;
}

std::vector<std::vector<int32_t>> words(const Parameters& parameters, std::string_view name,
                                        int32_t vocabulary) {
  const OrderedJson& value = *parameters.find(name);
  std::vector<std::vector<int32_t>> words;
  const auto require = [&](bool good) {
    if (good) return;
    parameters.fail(name, fmt::format("a list of at most {} lists of token ids below {}",
                                      kMaxListedIds, vocabulary));
  };
  require(value.is_array() && value.size() <= kMaxListedIds);
  for (const OrderedJson& item : value) {
    require(item.is_array() && !item.empty() && item.size() <= kMaxListedIds);
    std::vector<int32_t>& word = words.emplace_back();
    for (const OrderedJson& id : item) {
      require(id.is_number_integer() && id >= 0 && id < vocabulary);
      word.push_back(id.get<int32_t>());
    }
  }
  return words;
}

// The model's rules with what the request says instead; null: the model's.
std::shared_ptr<const TokenRules> read_rules(const Parameters& parameters,
                                             const DialectContext& context) {
  const int32_t vocabulary = context.tokenizer->vocabulary_size();
  TokenRules rules;
  if (context.generation->rules) rules = *context.generation->rules;
  bool any = false;
  const auto set = [&](const char* name, auto& to, const auto& read) {
    if (!parameters.find(name)) return;
    to = read(parameters, name, vocabulary);
    any = true;
  };
  set("bad_words_ids", rules.bad_words, words);
  set("suppress_tokens", rules.suppressed, token_ids);
  set("begin_suppress_tokens", rules.begin_suppressed, token_ids);
  set("forced_bos_token_id", rules.second, token_ids);
  set("forced_eos_token_id", rules.last, token_ids);
  return any ? std::make_shared<const TokenRules>(std::move(rules)) : nullptr;
}

// Hugging Face's generate, which takes what a request leaves out from the model's generation
// config.
TextRequest read_generate(const Parameters& parameters, const DialectContext& context) {
  TextRequest request;
  GenerationRequest& generation = request.generation;
  const GenerationDefaults& defaults = *context.generation;
  SamplingParams given = default_sampling(defaults);
  if (!defaults.top_k) given.top_k = kDefaultTopK;
  read_warpers(parameters, given);
  generation.sampling.repetition_penalty = given.repetition_penalty;
  generation.sampling.no_repeat_ngram_size =
      static_cast<int32_t>(parameters.integer("no_repeat_ngram_size", 0, kMaxTokenCount)
                               .value_or(given.no_repeat_ngram_size));
  // Without do_sample warpers have no effect.
  const bool sample = parameters.flag("do_sample").value_or(defaults.do_sample.value_or(false));
  if (sample && given.temperature > 0) {
    given.no_repeat_ngram_size = generation.sampling.no_repeat_ngram_size;
    given.sample = true;
    generation.sampling = given;
  }
  generation.sampling.seed = random_seed();
  generation.eos_ids = token_ids(parameters, "eos_token_id", context.tokenizer->vocabulary_size());
  if (generation.eos_ids.empty() && context.model->eos_ids.empty())
    generation.eos_ids = ends_of_text(context);
  generation.rules = read_rules(parameters, context);
  generation.stop_strings = defaults.stop_strings;
  generation.ignore_eos = parameters.flag("ignore_eos").value_or(false);
  if (parameters.integer("num_beams", 1, 1024).value_or(1) > 1) {
    throw_error(ErrorKind::kBadRequest,
                "DeepSpeed does not support `num_beams` > 1, if this is important to you please "
                "add your request to: https://github.com/microsoft/DeepSpeed/issues/2506");
  }
  return request;
}

// max_length and min_length count the prompt too; where both kinds are set the new tokens win.
void set_lengths(TextRequest& request, const Parameters& parameters,
                 const GenerationDefaults& defaults, int64_t prompt_tokens) {
  const auto read = [&](const char* name, int64_t low, const std::optional<int32_t>& otherwise) {
    const auto given = parameters.integer(name, low, kMaxTokenCount);
    return given || !otherwise ? given : std::optional<int64_t>(*otherwise);
  };
  const auto most = read("max_new_tokens", 1, defaults.max_new_tokens);
  const int64_t length = read("max_length", 1, defaults.max_length).value_or(kDefaultLength);
  request.max_new_tokens =
      static_cast<int32_t>(most.value_or(std::max<int64_t>(1, length - prompt_tokens)));
  const auto least = read("min_new_tokens", 0, defaults.min_new_tokens);
  const int64_t shortest = read("min_length", 0, defaults.min_length).value_or(0);
  request.generation.min_new_tokens =
      static_cast<int32_t>(least.value_or(std::max<int64_t>(0, shortest - prompt_tokens)));
}

// The original's own loop behind enable_streaming true.
TextRequest read_streamed(const Parameters& parameters, const DialectContext& context) {
  TextRequest request;
  GenerationRequest& generation = request.generation;
  request.max_new_tokens = static_cast<int32_t>(
      parameters.integer("max_new_tokens", 1, kMaxTokenCount).value_or(kDefaultStreamedLength));
  read_warpers(parameters, generation.sampling);
  bool sample = parameters.flag("do_sample").value_or(false);
  for (const char* name : {"temperature", "top_k", "top_p", "typical_p"})
    sample = sample || parameters.find(name);
  generation.sampling.sample = sample;
  generation.sampling.seed = parameters.seed("manual_seed").value_or(random_seed());
  generation.eos_ids = ends_of_text(context);
  generation.ignore_eos = parameters.flag("ignore_eos").value_or(false);
  generation.skip_special = false;
  if (parameters.integer("beam_size", 1, 1024).value_or(1) > 1)
    parameters.fail("beam_size", "1: streaming goes without beams");
  return request;
}

OrderedJson read_json(std::string_view data) {
  OrderedJson json = parse_body(data);
  if (!json.is_object()) {  // the whole body is the input
    OrderedJson outer = OrderedJson::object();
    outer["inputs"] = std::move(json);
    return outer;
  }
  if (json.contains("messages")) {
    throw Error(ErrorKind::kBadRequest,
                "chat completions support is not currently available for dynamic batching. You "
                "must enable rolling batch to use the chat completions format.");
  }
  return json;
}

}  // namespace

ParsedCall parse_lmi_dynamic(const Body& body, std::string_view data,
                             const DialectContext& context) {
  OrderedJson json = OrderedJson::object();
  if (body.json) {
    json = read_json(data);
  } else {
    json["inputs"] = body.text;
  }
  Inputs inputs = read_inputs(json);
  OrderedJson given = OrderedJson::object();
  if (const auto found = json.find("parameters"); found != json.end() && !found->is_null()) {
    if (!found->is_object()) {
      throw_error(ErrorKind::kBadRequest, "parameters: {}, expected an object",
                  python_type_name(*found));
    }
    given = *found;
  }
  const Parameters parameters(given);
  const std::string& streaming = context.settings->text("option.enable_streaming");
  const bool own_loop = streaming == "true";
  if (!own_loop) check_names(given);
  const TextRequest common =
      own_loop ? read_streamed(parameters, context) : read_generate(parameters, context);

  ParsedCall call;
  std::vector<std::vector<int32_t>> ids;
  for (const std::string& prompt : inputs.prompts) {
    ids.push_back(context.tokenizer->encode(prompt).ids);
    const auto size = static_cast<int64_t>(ids.back().size());
    if (size > context.max_tokens) {
      throw_error(ErrorKind::kBadRequest,
                  "Input with size {} exceeds maximum length of {}. Please increase `max_tokens` "
                  "in the DeepSpeed Inference Config.",
                  size, context.max_tokens);
    }
    call.requests.push_back(common);
    call.requests.back().prompt = prompt;
    call.requests.back().generation.log_probs = false;  // no answer shows them
    if (!own_loop) set_lengths(call.requests.back(), parameters, *context.generation, size);
  }
  if (streaming == "false") {
    call.formatter = std::make_unique<ArrayFormatter>(std::move(ids), context.tokenizer);
  } else {
    call.formatter = std::make_unique<StepsFormatter>(std::move(inputs.prompts), !own_loop);
  }
  return call;
}

}  // namespace tensormill
