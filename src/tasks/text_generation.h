#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/decode_stream.h"
#include "tokenizer/tokenizer.h"

namespace tensormill {

// A native text-generation request: what every API dialect is translated into.
struct TextRequest {
  std::string prompt;                     // valid UTF-8
  bool add_special = true;                // false for rendered chat templates, which hold their own
  int32_t truncate = 0;                   // keep only the last N prompt tokens; 0: all
  std::optional<int32_t> max_new_tokens;  // none: what max_tokens leaves
  std::optional<int32_t> max_length;      // of prompt and output, where max_new_tokens is none
  int32_t min_length = 0;                 // of prompt and output; raises min_new_tokens
  GenerationRequest generation;           // prompt and max_new_tokens are filled in by submit_text
};

struct SubmittedText {
  uint64_t id = 0;
  int32_t prompt_tokens = 0;
  int32_t max_new_tokens = 0;
};

// Tokenizes and submits. Errors: those of Tokenizer::encode and Engine::submit.
SubmittedText submit_text(Engine& engine, const Tokenizer& tokenizer, TextRequest request);

}  // namespace tensormill
