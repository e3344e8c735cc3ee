#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "config/configuration.h"
#include "tasks/generation_config.h"
#include "tasks/text_generation.h"

namespace tensormill {

// The APIs that carry inference calls. A dialect is pure: bytes in, native requests out, events in,
// bytes out. It knows no sockets and no engine.
enum class Dialect : uint8_t { kLmiRolling, kLmiDynamic, kOpenAi };

// What a dialect may ask of the model it talks to.
struct DialectContext {
  std::string_view model_name;
  const Settings* settings;  // of the model
  const Tokenizer* tokenizer;
  const ChatTemplate* chat_template;  // null: the model has none
  const ModelInfo* model;
  int32_t max_tokens;  // prompt and output
  const GenerationDefaults* generation = &kNoDefaults;
};

// A whole reply, for everything that isn't streamed.
struct Reply {
  int status = 200;
  std::string reason;        // "": the standard one
  std::string content_type;  // "": no header
  std::string body;
};

// Turns the events of one call into bytes. Used from one thread at a time.
class Formatter {
 public:
  virtual ~Formatter() = default;
  virtual std::string content_type() const = 0;
  // true: status line and headers go out with the first bytes, chunked. false: one body at the end.
  virtual bool chunked() const = 0;
  // Once, after all requests of the call were queued, in their order.
  virtual void begin(std::span<const SubmittedText> submitted) = 0;
  // Bytes to send now; `input` is the index of the request in ParsedCall::requests.
  virtual std::string on_event(size_t input, TokenEvent& event) = 0;
  // After the last event of the last input: what is left, or the whole body.
  virtual std::string finish() = 0;
};

struct ParsedCall {
  std::vector<TextRequest> requests;
  std::unique_ptr<Formatter> formatter;
};

// Errors: kBadRequest and others of Error; error_reply turns them into what the dialect's clients
// expect.
ParsedCall parse_call(Dialect dialect, std::string_view content_type, std::string_view data,
                      const DialectContext& context);

// An error before the first byte, as the dialect's clients expect it
// (lmi-contract 2.6, 3.1.8, 3.2.4; OpenAI's error object).
Reply error_reply(Dialect dialect, const Error& error, const Settings& settings);

}  // namespace tensormill
