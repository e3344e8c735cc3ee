#include <algorithm>
#include <limits>

#include "sampling/processors.h"

namespace tensormill {
namespace {

constexpr float kBanned = -std::numeric_limits<float>::infinity();

}  // namespace

void apply_repetition_penalty(std::span<float> logits, std::span<const float> original,
                              std::span<const int32_t> tokens, float penalty) {
  for (const int32_t token : tokens) {
    const auto t = static_cast<size_t>(token);
    logits[t] = original[t] < 0 ? original[t] * penalty : original[t] / penalty;
  }
}

void apply_output_penalties(std::span<float> logits, std::span<const int32_t> output,
                            float presence, float frequency, std::span<int32_t> counts) {
  for (const int32_t token : output) ++counts[static_cast<size_t>(token)];
  for (const int32_t token : output) {
    const auto t = static_cast<size_t>(token);
    if (counts[t] == 0) continue;
    logits[t] -= presence + frequency * static_cast<float>(counts[t]);
    counts[t] = 0;
  }
}

void ban_repeated_ngrams(std::span<float> logits, std::span<const int32_t> tokens, int32_t n) {
  const auto context = static_cast<size_t>(n - 1);
  if (tokens.size() < static_cast<size_t>(n)) return;
  const auto last = tokens.last(context);
  for (size_t i = 0; i + context < tokens.size(); ++i) {
    const auto gram = tokens.subspan(i, context);
    if (std::equal(gram.begin(), gram.end(), last.begin())) {
      logits[static_cast<size_t>(tokens[i + context])] = kBanned;
    }
  }
}

void ban(std::span<float> logits, std::span<const int32_t> tokens) {
  for (const int32_t token : tokens) {
    if (token >= 0 && static_cast<size_t>(token) < logits.size()) {
      logits[static_cast<size_t>(token)] = kBanned;
    }
  }
}

}  // namespace tensormill
