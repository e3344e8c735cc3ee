#include "engine/output.h"

#include <algorithm>
#include <array>
#include <exception>
#include <functional>
#include <utility>

#include "base/log.h"

namespace tensormill {

TokenTexts::TokenTexts(const Tokenizer& tokenizer)
    : tokenizer_(tokenizer),
      entries_(static_cast<size_t>(std::max(0, tokenizer.vocabulary_size()))) {}

const std::string& TokenTexts::of(int32_t token) {
  if (token < 0 || static_cast<size_t>(token) >= entries_.size()) return outside_;
  Entry& entry = entries_[static_cast<size_t>(token)];
  if (entry.made) return entry.text;
  entry.made = true;
  if (tokenizer_.is_special(token)) return entry.text;
  // What a second one adds to a first one.
  const std::array<int32_t, 2> twice = {token, token};
  const std::string one = tokenizer_.decode(std::span(twice).first(1), false);
  const std::string two = tokenizer_.decode(twice, false);
  entry.text = two.starts_with(one) && two.size() > one.size() ? two.substr(one.size()) : one;
  return entry.text;
}

TokenEvent append_token(ActiveRequest& request, const Tokenizer& tokenizer, TokenTexts& texts) {
  const GenerationRequest& asked = request.request;
  const int32_t token = request.sampled.token;
  request.tokens.push_back(token);
  TokenEvent event;
  event.request = request.id;
  event.token = token;
  event.log_prob = request.sampled.log_prob;
  event.top.assign(request.top.begin(), request.top.end());

  const bool known = token < tokenizer.vocabulary_size();  // models may have more rows than that
  event.special = known && tokenizer.is_special(token);
  if (known) event.token_text = texts.of(token);
  const bool ends = !asked.ignore_eos && std::find(asked.eos_ids.begin(), asked.eos_ids.end(),
                                                   token) != asked.eos_ids.end();
  if (known && !(ends && asked.skip_special)) {
    event.text = request.stops.push(request.stream.step(token));
  }
  if (request.generated() >= asked.max_new_tokens) {
    event.finish = FinishReason::kLength;
  } else if (ends) {
    event.finish = FinishReason::kEos;
  } else if (request.stops.stopped()) {
    event.finish = FinishReason::kStop;
  }
  if (event.finish != FinishReason::kNone) {
    event.text += request.stops.push(request.stream.finish());
    event.text += request.stops.finish();
  }
  return event;
}

TokenEvent end_event(ActiveRequest& request, FinishReason reason, std::string error) {
  TokenEvent event;
  event.request = request.id;
  event.finish = reason;
  event.error = std::move(error);
  if (request.generated() > 0) {
    event.text = request.stops.push(request.stream.finish());
    event.text += request.stops.finish();
  }
  return event;
}

void EventBatch::add(EventSink* sink, TokenEvent event) {
  entries_.push_back({sink, std::move(event)});
}

void EventBatch::deliver() {
  // By sink; requests are unique within a step, so that their order is fixed too.
  std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
    return a.sink != b.sink ? std::less<>()(a.sink, b.sink) : a.event.request < b.event.request;
  });
  events_.clear();
  for (Entry& entry : entries_) events_.push_back(std::move(entry.event));
  for (size_t begin = 0, end = 0; begin < entries_.size(); begin = end) {
    EventSink* const sink = entries_[begin].sink;
    while (end < entries_.size() && entries_[end].sink == sink) ++end;
    try {
      sink->deliver(std::span(events_).subspan(begin, end - begin));
    } catch (const std::exception& error) {
      spdlog::error("events of a request are lost: {}", error.what());
    }
  }
  entries_.clear();
}

}  // namespace tensormill
