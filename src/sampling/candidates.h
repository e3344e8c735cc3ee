#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ops/sample.h"
#include "sampling/params.h"

namespace tensormill {

// The tokens of one row that may still be drawn, in ascending order of ids, and what they weigh.
// Filters leave at least one; each takes the softmax over what is left. Nothing is sorted: a filter
// looks for the value where it cuts.
class Candidates {
 public:
  Candidates(int32_t vocabulary, const LogitKernels& kernels);

  // All tokens of the row at this temperature, or the k best and what equals the last of them
  // (top_k 0: off). `peak` is the row's largest logit.
  void take(std::span<const float> logits, float peak, float temperature, int32_t top_k);
  // The fewest best tokens whose probabilities add up to p; of equal ones those of lower ids.
  void keep_top_p(float p);
  // The fewest tokens with surprise nearest to the entropy whose probabilities add up to p (Meister
  // et al., "Locally Typical Sampling"); ties with the last one stay.
  void keep_typical(float p);
  // Tokens of at least min_p times the best one's probability.
  void keep_min_p(float min_p);

  // Of the candidate at which the sum of probabilities passes u, from 0 to below 1.
  TopToken draw(double u) const;
  // The `limit` most likely ones, best first, equal ones by id.
  void list(int32_t limit, std::vector<TopToken>& top);

 private:
  // A candidate and how it is compared: by greater key, then by lower id.
  struct Item {
    float key;
    int32_t id;
    float weight;
  };
  static bool before(const Item& a, const Item& b);

  int32_t id_of(size_t place) const { return dense_ ? static_cast<int32_t>(place) : ids_[place]; }
  float log_prob(size_t place) const;
  void gather_best(std::span<const float> logits, float peak, float temperature, int32_t k);
  void weigh(float peak, float temperature, const float* from);
  template <class Wanted>
  void cut(const std::vector<float>& keys, float least, Wanted&& wanted);
  Item last_within(const std::vector<float>& keys, double mass);
  void collect_items(const std::vector<float>& keys, float from, float below);

  const LogitKernels& kernels_;
  size_t count_ = 0;
  bool dense_ = true;                  // place i is token i
  double total_ = 0;                   // of weights
  std::vector<float> values_;          // relative to the best one's
  std::vector<float> weights_, keys_;  // e^value; scratch
  std::vector<double> sums_;           // of each kLogitBlock weights
  std::vector<int32_t> ids_, places_;  // not with dense_; scratch
  std::vector<Item> items_;
};

// A lower bound of the k-th largest of `values`, near it: -infinity where that isn't quickly known.
// `scratch` has room for all values and kLogitParts more.
float kth_bound(const LogitKernels& kernels, std::span<const float> values, int32_t k,
                std::vector<float>& scratch);

}  // namespace tensormill
