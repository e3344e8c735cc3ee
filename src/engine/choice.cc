#include "engine/choice.h"

#include <algorithm>
#include <span>

namespace tensormill {
namespace {

// Calls take(id) for the tokens that may not be chosen next, whatever the tokens under way are.
template <class Take>
void for_each_banned(const ActiveRequest& request, const Take& take) {
  const auto all = [&](std::span<const int32_t> ids) {
    std::for_each(ids.begin(), ids.end(), take);
  };
  all(request.banned(request.length() - request.prompt));
  const TokenRules* const rules = request.request.rules.get();
  if (rules == nullptr) return;
  all(rules->suppressed);
  const auto length = static_cast<size_t>(request.length());
  if (begins(*rules, length, static_cast<size_t>(request.prompt))) all(rules->begin_suppressed);
  for (const auto& word : rules->bad_words) {
    if (word.size() == 1) take(word.front());
  }
}

}  // namespace

bool can_choose(const ActiveRequest& request) {
  if (request.request.top_log_probs > kMaxTop) return false;
  if (const TokenRules* const rules = request.request.rules.get()) {
    const auto length = static_cast<size_t>(request.length());
    if (!forced(*rules, length, static_cast<size_t>(request.limit)).empty()) return false;
    // What they ban depends on tokens that may be under way.
    for (const auto& word : rules->bad_words) {
      if (word.size() > 1) return false;
    }
  }
  size_t banned = 0;
  for_each_banned(request, [&](int32_t /*id*/) { ++banned; });
  return banned <= static_cast<size_t>(kMaxBanned);
}

SampleRow choice_of(const ActiveRequest& request, int32_t vocabulary) {
  const SamplingParams& params = request.request.sampling;
  SampleRow row{};
  row.slot = request.seat;
  row.length = request.length();
  row.prompt = request.prompt;
  row.sample = params.sample ? 1 : 0;
  row.top_k = params.top_k;
  row.no_repeat_ngram = params.no_repeat_ngram_size;
  row.temperature = params.temperature;
  row.top_p = params.top_p;
  row.typical_p = params.typical_p;
  row.min_p = params.min_p;
  row.repetition_penalty = params.repetition_penalty;
  row.presence_penalty = params.presence_penalty;
  row.frequency_penalty = params.frequency_penalty;
  row.seed[0] = static_cast<uint32_t>(params.seed);
  row.seed[1] = static_cast<uint32_t>(params.seed >> 32);
  row.top = request.request.top_log_probs;
  for_each_banned(request, [&](int32_t id) {
    if (id >= 0 && id < vocabulary) row.banned_ids[row.banned++] = id;
  });
  return row;
}

SampleRow unused_choice(const ActiveRequest& request) {
  SampleRow row{};
  row.slot = request.seat;
  row.length = request.length();
  row.prompt = request.prompt;
  row.temperature = row.top_p = row.typical_p = row.repetition_penalty = 1;
  return row;
}

void take_choice(const SampleResult& result, ActiveRequest& request) {
  request.sampled.status = static_cast<SampleStatus>(result.status);
  request.sampled.token = result.token;
  request.sampled.log_prob = result.log_prob;
  request.top.clear();
  for (int32_t i = 0; i < result.top; ++i) {
    request.top.push_back({result.top_ids[i], result.top_log_probs[i]});
  }
}

}  // namespace tensormill
