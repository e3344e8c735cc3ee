#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sampling/params.h"
#include "sampling/token_rules.h"

namespace tensormill {

enum class FinishReason : uint8_t { kNone, kLength, kEos, kStop, kCancelled, kError };

// One generated token of one request, or (token < 0) an end without a token.
struct TokenEvent {
  uint64_t request = 0;  // what Engine::submit returned
  int32_t token = -1;
  bool special = false;
  float log_prob = 0;
  std::string token_text;     // this token alone, "" for special tokens
  std::string text;           // complete UTF-8 that this step added to the request's text
  std::vector<TopToken> top;  // GenerationRequest::top_log_probs of them, best first
  FinishReason finish = FinishReason::kNone;
  std::string error;  // with kError
};

// Where events go: one call a step and sink, from the engine's thread. Must not block. The events
// may be moved from.
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void deliver(std::span<TokenEvent> events) = 0;
  // The request left the queue: its first step begins. As deliver(), and before its first event.
  virtual void admitted(uint64_t /*request*/) {}
};

struct GenerationRequest {
  std::vector<int32_t> prompt;
  SamplingParams sampling;
  int32_t max_new_tokens = 30;
  int32_t min_new_tokens = 0;               // EOS is masked before
  std::vector<int32_t> eos_ids;             // empty: the model's
  std::shared_ptr<const TokenRules> rules;  // null: none
  std::vector<std::string> stop_strings;    // the text generated so far contains one: finish kStop
  bool include_stop =
      true;  // the stop string stays in the text (false: cut, and held back while streaming)
  bool ignore_eos = false;
  bool skip_special = true;  // special tokens leave no text
  int32_t top_log_probs = 0;
  bool log_probs = true;      // false: nobody reads the events' log_prob, which may then stay 0
  EventSink* sink = nullptr;  // must outlive the request's last event
};

}  // namespace tensormill
