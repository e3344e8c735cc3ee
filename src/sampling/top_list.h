#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "sampling/params.h"

namespace tensormill {

// Keeps the `limit` best of what is offered, best first, equal ones by id (ids are offered in
// ascending order). Offers that don't make it cost one comparison.
class TopList {
 public:
  TopList(std::vector<TopToken>& list, int32_t limit)
      : list_(list), limit_(static_cast<size_t>(limit)) {
    list_.clear();
  }

  void offer(int32_t id, float value) {
    if (list_.size() == limit_) {
      if (limit_ == 0 || !(value > list_.back().log_prob)) return;
      list_.pop_back();
    }
    const auto place = std::upper_bound(
        list_.begin(), list_.end(), value,
        [](float offered, const TopToken& held) { return offered > held.log_prob; });
    list_.insert(place, {id, value});
  }

  // From logits to log-probabilities.
  void normalize(float peak, double log_sum) {
    for (TopToken& held : list_) {
      held.log_prob = static_cast<float>(static_cast<double>(held.log_prob) -
                                         static_cast<double>(peak) - log_sum);
    }
  }

 private:
  std::vector<TopToken>& list_;
  size_t limit_;
};

}  // namespace tensormill
