#pragma once

#include <algorithm>
#include <vector>

#include "kernels/table.h"
#include "sampling/sampler.h"

namespace tensormill {

// A device's choice of tokens on memory that the host can read: the host's sampler itself.
inline void choose_on_host(const SampleArgs& args, Stream /*stream*/) {
  Sampler sampler(args.vocabulary);
  std::vector<TopToken> top;
  for (int32_t i = 0; i < *args.live.count; ++i) {
    const SampleRow& asked = args.rows[i];
    int32_t* const tokens = args.history + asked.slot * args.history_stride;
    SamplingParams params;
    params.sample = asked.sample != 0;
    params.temperature = asked.temperature;
    params.top_k = asked.top_k;
    params.top_p = asked.top_p;
    params.typical_p = asked.typical_p;
    params.min_p = asked.min_p;
    params.repetition_penalty = asked.repetition_penalty;
    params.presence_penalty = asked.presence_penalty;
    params.frequency_penalty = asked.frequency_penalty;
    params.no_repeat_ngram_size = asked.no_repeat_ngram;
    params.seed = uint64_t{asked.seed[1]} << 32 | asked.seed[0];
    SamplerRow row;
    row.params = &params;
    row.logits = {args.logits + int64_t{i} * args.vocabulary, static_cast<size_t>(args.vocabulary)};
    row.tokens = {tokens, static_cast<size_t>(asked.length)};
    row.prompt_tokens = static_cast<size_t>(asked.prompt);
    row.banned = {asked.banned_ids, static_cast<size_t>(asked.banned)};
    row.top_log_probs = asked.top;
    const SampledToken chosen = sampler.sample(row, top);
    SampleResult& result = args.results[i];
    result.token = std::max(chosen.token, 0);
    result.status = static_cast<int32_t>(chosen.status);
    result.log_prob = chosen.log_prob;
    result.top = static_cast<int32_t>(top.size());
    for (size_t t = 0; t < top.size(); ++t) {
      result.top_ids[t] = top[t].id;
      result.top_log_probs[t] = top[t].log_prob;
    }
    tokens[asked.length] = result.token;
  }
}

}  // namespace tensormill
