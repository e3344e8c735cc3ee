#pragma once

#include <cstdint>
#include <span>

namespace tensormill {

// Processors that change single logits of a row in place. `logits` is [vocabulary]; token ids must
// lie in it.

// Every token that occurs: divided by the penalty if above 0, else multiplied. `original` holds the
// logits before, so that repeated tokens are punished once.
void apply_repetition_penalty(std::span<float> logits, std::span<const float> original,
                              std::span<const int32_t> tokens, float penalty);

// Subtracts presence + count * frequency from every token of the output. `counts` is [vocabulary]
// zeros, and is zero again afterwards.
void apply_output_penalties(std::span<float> logits, std::span<const int32_t> output,
                            float presence, float frequency, std::span<int32_t> counts);

// Bans every token that would complete an n-gram that `tokens` already holds.
void ban_repeated_ngrams(std::span<float> logits, std::span<const int32_t> tokens, int32_t n);

// Ids outside of the vocabulary are passed over.
void ban(std::span<float> logits, std::span<const int32_t> tokens);

}  // namespace tensormill
