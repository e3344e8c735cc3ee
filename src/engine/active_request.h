#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/request.h"
#include "engine/scheduler.h"
#include "engine/stop_matcher.h"
#include "sampling/sampler.h"
#include "tokenizer/decode_stream.h"

namespace tensormill {

// A request on its way through the engine, made by submit with all memory that its decoding needs.
struct ActiveRequest : Sequence {
  ActiveRequest(uint64_t request_id, GenerationRequest source, const Tokenizer& tokenizer)
      : id(request_id),
        request(std::move(source)),
        stream(tokenizer, request.skip_special),
        stops(std::move(request.stop_strings), request.include_stop) {
    const auto all = request.prompt.size() + static_cast<size_t>(request.max_new_tokens);
    tokens.reserve(all);
    tokens.assign(request.prompt.begin(), request.prompt.end());
    prompt = static_cast<int32_t>(request.prompt.size());
    limit = static_cast<int32_t>(all);
    blocks.reserve(static_cast<size_t>(Scheduler::blocks_for(static_cast<int64_t>(all))));
    top.reserve(static_cast<size_t>(request.top_log_probs));
    request.prompt = {};
  }

  int32_t generated() const { return static_cast<int32_t>(tokens.size()) - prompt; }

  // Tokens that may not come after so many generated ones.
  std::span<const int32_t> banned(int32_t after) const {
    if (after >= request.min_new_tokens) return {};
    return request.eos_ids;
  }

  uint64_t id;
  GenerationRequest request;  // without prompt and stop strings: they have moved
  DecodeStream stream;
  StopMatcher stops;
  size_t slot = 0;              // in the engine's list
  bool counted_waiting = true;  // in the engine's count of waiting requests

  // Of the step whose results have come:
  SampledToken sampled;
  std::vector<TopToken> top;
};

}  // namespace tensormill
