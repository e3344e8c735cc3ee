#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/active_request.h"
#include "engine/request.h"
#include "tokenizer/tokenizer.h"

namespace tensormill {

// The text of single tokens as they stand inside a text: with the space that a tokenizer may strip
// from the first one. Each is made once. Used by one thread.
class TokenTexts {
 public:
  explicit TokenTexts(const Tokenizer& tokenizer);
  const std::string& of(int32_t token);  // "" for special tokens

 private:
  struct Entry {
    bool made = false;
    std::string text;
  };
  const Tokenizer& tokenizer_;
  std::vector<Entry> entries_;
  std::string outside_;
};

// Appends the sampled token to the request: its text, stop strings, the reason to finish (length,
// then EOS, then a stop string), all told in the event.
TokenEvent append_token(ActiveRequest& request, const Tokenizer& tokenizer, TokenTexts& texts);

// An end without a token, with what text was still held back.
TokenEvent end_event(ActiveRequest& request, FinishReason reason, std::string error);

// Events of one step, given out with one call for each sink.
class EventBatch {
 public:
  void add(EventSink* sink, TokenEvent event);
  // Delivers all and is empty again. A sink that throws loses its events: logged, not passed on.
  void deliver();

 private:
  struct Entry {
    EventSink* sink;
    TokenEvent event;
  };
  std::vector<Entry> entries_;
  std::vector<TokenEvent> events_;
};

}  // namespace tensormill
