#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sampling/candidates.h"
#include "sampling/params.h"
#include "sampling/token_rules.h"

namespace tensormill {

// One row of logits and what its request asks of it.
struct SamplerRow {
  const SamplingParams* params = nullptr;  // validated
  std::span<const float> logits;           // [vocabulary]
  std::span<const int32_t> tokens;         // prompt and output, in the vocabulary
  size_t prompt_tokens = 0;
  std::span<const int32_t> banned;    // EOS before min_new_tokens
  const TokenRules* rules = nullptr;  // validated; null: none
  size_t limit = 0;                   // tokens that prompt and output may have, for the rules
  int32_t top_log_probs = 0;
  bool wants_log_prob = true;  // false: a greedy choice without top_log_probs leaves it 0
};

enum class SampleStatus : uint8_t {
  kOk,
  kNotFinite,    // a logit is NaN or +infinity
  kNothingLeft,  // every token is banned
};

struct SampledToken {
  SampleStatus status = SampleStatus::kOk;
  int32_t token = -1;
  float log_prob = 0;  // of the distribution that the token was drawn from
};

// Chooses tokens; holds the scratch memory of one thread and allocates none later (if `top` has
// room). A row's result depends on the row alone.
class Sampler {
 public:
  // kernels: of the CPU level that the choice is made with; null: the best one.
  explicit Sampler(int32_t vocabulary, const LogitKernels* kernels = nullptr);

  // top: filled with the row's top_log_probs best tokens of the same distribution, best first
  // (fewer where filters left fewer).
  SampledToken sample(const SamplerRow& row, std::vector<TopToken>& top);

 private:
  bool changes(const SamplerRow& row) const;
  std::span<const float> process(const SamplerRow& row);
  void obey(const TokenRules& rules, const SamplerRow& row);
  SampledToken pick_best(const SamplerRow& row, std::span<const float> logits, const RowPeak& peak,
                         std::vector<TopToken>& top);
  SampledToken draw(const SamplerRow& row, std::span<const float> logits, const RowPeak& peak,
                    std::vector<TopToken>& top);

  const LogitKernels& kernels_;
  std::vector<float> logits_;    // [vocabulary]
  std::vector<int32_t> counts_;  // [vocabulary], zeros between calls
  std::vector<float> scratch_;   // [vocabulary + kLogitParts]
  std::vector<int32_t> places_;  // [vocabulary]
  Candidates candidates_;
};

}  // namespace tensormill
