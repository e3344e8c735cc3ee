#pragma once

#include <cstdint>
#include <span>
#include <vector>

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

// A token that may still be drawn.
struct Candidate {
  float logit;
  int32_t id;
};

// Filters on candidates in ascending order of ids; they stay in that order, and at least one stays.
// Softmax is taken over the candidates that are left.
struct FilterScratch {
  struct Weighted {
    float key;
    int32_t id;
    double weight;
  };
  std::vector<Weighted> items;
};
void keep_top_k(std::vector<Candidate>& candidates, int32_t k, FilterScratch& scratch);
// The fewest best tokens whose probabilities add up to p.
void keep_top_p(std::vector<Candidate>& candidates, float p, FilterScratch& scratch);
// The fewest tokens with surprise nearest to the entropy whose probabilities add up to p (Meister
// et al., "Locally Typical Sampling"); ties with the last one stay.
void keep_typical(std::vector<Candidate>& candidates, float p, FilterScratch& scratch);
// Tokens of at least min_p times the best one's probability.
void keep_min_p(std::vector<Candidate>& candidates, float min_p);

}  // namespace tensormill
