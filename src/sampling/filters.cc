#include <algorithm>
#include <cmath>

#include "sampling/processors.h"
#include "sampling/softmax.h"

namespace tensormill {
namespace {

using Weighted = FilterScratch::Weighted;

// Greater keys first, equal keys by id: a total order, so that results don't depend on the sort.
bool before(const Weighted& a, const Weighted& b) {
  return a.key != b.key ? a.key > b.key : a.id < b.id;
}

float peak_of(const std::vector<Candidate>& candidates) {
  float peak = candidates.front().logit;
  for (const Candidate& c : candidates) peak = std::max(peak, c.logit);
  return peak;
}

// The last item, in order, of the shortest beginning whose weights add up to `mass`. A quickselect
// by weight: linear on average, where sorting a vocabulary would take longer than the model.
Weighted last_within(std::vector<Weighted>& items, double mass) {
  size_t begin = 0, end = items.size();
  double above = 0;  // weight of what is in order before `begin`
  while (end - begin > 1) {
    const size_t middle = begin + (end - begin) / 2;
    std::nth_element(items.begin() + static_cast<std::ptrdiff_t>(begin),
                     items.begin() + static_cast<std::ptrdiff_t>(middle),
                     items.begin() + static_cast<std::ptrdiff_t>(end), before);
    double half = 0;
    for (size_t i = begin; i < middle; ++i) half += items[i].weight;
    if (above + half >= mass) {
      end = middle;
    } else {
      above += half;
      begin = middle;
    }
  }
  return items[begin];
}

// Fills scratch with the logit as the key and returns the sum of the weights.
double weigh(const std::vector<Candidate>& candidates, FilterScratch& scratch) {
  const float peak = peak_of(candidates);
  scratch.items.clear();
  double total = 0;
  for (const Candidate& c : candidates) {
    const auto weight = static_cast<double>(exp_negative(c.logit - peak));
    scratch.items.push_back({c.logit, c.id, weight});
    total += weight;
  }
  return total;
}

}  // namespace

void keep_top_k(std::vector<Candidate>& candidates, int32_t k, FilterScratch& scratch) {
  if (static_cast<size_t>(k) >= candidates.size()) return;
  scratch.items.clear();
  for (const Candidate& c : candidates) scratch.items.push_back({c.logit, c.id, 0});
  const auto kth = scratch.items.begin() + (k - 1);
  std::nth_element(scratch.items.begin(), kth, scratch.items.end(), before);
  const float smallest = kth->key;
  std::erase_if(candidates, [=](const Candidate& c) { return c.logit < smallest; });
}

void keep_top_p(std::vector<Candidate>& candidates, float p, FilterScratch& scratch) {
  const double total = weigh(candidates, scratch);
  const Weighted last = last_within(scratch.items, static_cast<double>(p) * total);
  std::erase_if(candidates, [&](const Candidate& c) {
    return before(last, Weighted{c.logit, c.id, 0});
  });
}

void keep_typical(std::vector<Candidate>& candidates, float p, FilterScratch& scratch) {
  const double total = weigh(candidates, scratch);
  const double log_total = std::log(total);
  const auto peak = static_cast<double>(peak_of(candidates));
  double entropy = 0;
  for (const Weighted& item : scratch.items) {
    entropy += item.weight / total * (log_total - (static_cast<double>(item.key) - peak));
  }
  const auto key = [=](float logit) {
    const double surprise = log_total - (static_cast<double>(logit) - peak);
    return -static_cast<float>(std::abs(surprise - entropy));
  };
  for (Weighted& item : scratch.items) item.key = key(item.key);
  const float last = last_within(scratch.items, static_cast<double>(p) * total).key;
  std::erase_if(candidates, [&](const Candidate& c) { return key(c.logit) < last; });
}

void keep_min_p(std::vector<Candidate>& candidates, float min_p) {
  const float smallest = peak_of(candidates) + std::log(min_p);
  std::erase_if(candidates, [=](const Candidate& c) { return c.logit < smallest; });
}

}  // namespace tensormill
