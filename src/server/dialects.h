#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "server/dialect.h"
#include "server/parameters.h"

// What the files of the dialects share; one function for each API.
namespace tensormill {

struct Body {
  bool json = false;
  std::string text;  // where it is no JSON: the prompt
};
// lmi-contract 3.0. Errors: kBadRequest for types that can't be a prompt.
Body decode_body(std::string_view content_type, std::string_view data);

// The `inputs` of a request: one string, or a list of them.
struct Inputs {
  std::vector<std::string> prompts;
  bool list = false;
};
Inputs read_inputs(const nlohmann::ordered_json& body);

ParsedCall parse_lmi_rolling(const Body& body, std::string_view data,
                             const DialectContext& context);
ParsedCall parse_lmi_chat(const nlohmann::ordered_json& body, const DialectContext& context);
ParsedCall parse_lmi_dynamic(const Body& body, std::string_view data,
                             const DialectContext& context);
ParsedCall parse_openai_chat(std::string_view data, const DialectContext& context);

// The prompt of a conversation in the words of the model's chat template. Of the parameters it
// reads tools and tool_choice, documents, chat_template_kwargs (more variables),
// add_generation_prompt (default true) and continue_final_message. Errors: kUnsupported without a
// template; kBadRequest for parameters and those of ChatTemplate::render.
std::string render_chat(const nlohmann::ordered_json& messages, const Parameters& parameters,
                        const DialectContext& context);
// The messages of an OpenAI body as templates expect them. Contents are texts, or lists of text
// parts where the template reads those; arguments of tool calls are objects.
nlohmann::ordered_json read_openai_messages(const Parameters& parameters,
                                            const DialectContext& context);

// The ids that end a text: the model's and the tokenizer's eos_token, since the two may differ in
// models that were tuned to chat.
std::vector<int32_t> ends_of_text(const DialectContext& context);

std::string_view lmi_finish_reason(FinishReason reason);  // "eos_token"
bool is_failure(FinishReason reason);                     // kError, kCancelled
std::string failure_text(const TokenEvent& event);
// {"error":"...","code":424} as the original writes it, HTML-safe.
std::string rolling_error(std::string_view message);

// Log-probabilities of tokens as OpenAI has them: objects of "content", with commas between them.
std::string logprob_entry(const TokenEvent& event, const Tokenizer& tokenizer);

// How LMI chat replies look; shared by requests with messages and the *_chat output formatters.
struct ChatStyle {
  bool stream = false, logprobs = false;
};
std::unique_ptr<Formatter> lmi_chat_formatter(const ChatStyle& style, const Tokenizer* tokenizer);

}  // namespace tensormill
