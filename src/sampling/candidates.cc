#include "sampling/candidates.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "sampling/top_list.h"

namespace tensormill {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr int64_t kPartsPerK = 8;   // parts of a row among which the k-th best is looked for
constexpr int64_t kFewItems = 256;  // so many are looked through one by one
constexpr int kMostCuts = 24;

}  // namespace

float kth_bound(const LogitKernels& kernels, std::span<const float> values, int32_t k,
                std::vector<float>& scratch) {
  const auto count = static_cast<int64_t>(values.size());
  const int64_t run = count / (kPartsPerK * k);
  if (run < 2) return -kInfinity;
  // k parts have a value of at least the k-th largest of the parts' maxima.
  const int64_t parts = kernels.maxima(values.data(), count, run, scratch.data());
  const auto kth = scratch.begin() + (k - 1);
  std::nth_element(scratch.begin(), kth, scratch.begin() + parts, std::greater<>());
  return *kth;
}

Candidates::Candidates(int32_t vocabulary, const LogitKernels& kernels)
    : kernels_(kernels),
      values_(static_cast<size_t>(vocabulary)),
      weights_(values_.size()),
      keys_(values_.size() + kLogitParts),
      sums_(values_.size() / kLogitBlock + 1),
      ids_(values_.size()),
      places_(values_.size()) {
  items_.reserve(values_.size());
}

bool Candidates::before(const Item& a, const Item& b) {
  return a.key != b.key ? a.key > b.key : a.id < b.id;
}

void Candidates::take(std::span<const float> logits, float peak, float temperature, int32_t top_k) {
  dense_ = true;
  count_ = logits.size();
  if (top_k > 0 && static_cast<size_t>(top_k) < count_) {
    return gather_best(logits, peak, temperature, top_k);
  }
  weigh(peak, temperature, logits.data());
}

void Candidates::gather_best(std::span<const float> logits, float peak, float temperature,
                             int32_t k) {
  const float bound = kth_bound(kernels_, logits, k, keys_);
  if (bound == -kInfinity) {
    weigh(peak, temperature, logits.data());
  } else {
    // Different logits may be equal at this temperature.
    const float slack = 1e-6f * (std::abs(bound) + std::abs(peak));
    count_ = static_cast<size_t>(kernels_.find(logits.data(), static_cast<int64_t>(logits.size()),
                                               bound - slack, ids_.data()));
    dense_ = false;
    for (size_t i = 0; i < count_; ++i) values_[i] = logits[static_cast<size_t>(ids_[i])];
    weigh(peak, temperature, values_.data());
  }
  std::copy_n(values_.begin(), count_, keys_.begin());
  const auto kth = keys_.begin() + (k - 1);
  std::nth_element(keys_.begin(), kth, keys_.begin() + static_cast<std::ptrdiff_t>(count_),
                   std::greater<>());
  cut(values_, *kth, [](size_t) { return true; });
}

// Makes values and weights of what lies in `from`.
void Candidates::weigh(float peak, float temperature, const float* from) {
  kernels_.weigh(from, static_cast<int64_t>(count_), peak, temperature, values_.data(),
                 weights_.data(), sums_.data());
  total_ = 0;
  for (size_t block = 0; block * kLogitBlock < count_; ++block) total_ += sums_[block];
}

// Leaves what weighs something, has a key of at least `least` and is wanted.
template <class Wanted>
void Candidates::cut(const std::vector<float>& keys, float least, Wanted&& wanted) {
  const int64_t found =
      kernels_.find(keys.data(), static_cast<int64_t>(count_), least, places_.data());
  size_t kept = 0;
  for (int64_t i = 0; i < found; ++i) {
    const auto place = static_cast<size_t>(places_[static_cast<size_t>(i)]);
    if (weights_[place] == 0 || !wanted(place)) continue;
    ids_[kept] = id_of(place);
    values_[kept++] = values_[place];
  }
  count_ = kept;
  dense_ = false;
  const float peak =
      *std::max_element(values_.begin(), values_.begin() + static_cast<std::ptrdiff_t>(count_));
  weigh(peak, 1, values_.data());
}

// Of the places with from <= key < below.
void Candidates::collect_items(const std::vector<float>& keys, float from, float below) {
  const int64_t found =
      kernels_.find(keys.data(), static_cast<int64_t>(count_), from, places_.data());
  items_.clear();
  for (int64_t i = 0; i < found; ++i) {
    const auto place = static_cast<size_t>(places_[static_cast<size_t>(i)]);
    if (keys[place] < below) items_.push_back({keys[place], id_of(place), weights_[place]});
  }
}

// The last item, in order, of the shortest beginning whose weights add up to `mass`. Keys are 0 or
// below. First bounds on its key are drawn closer until few items lie between them, then the item
// is found by a quickselect by weight.
Candidates::Item Candidates::last_within(const std::vector<float>& keys, double mass) {
  const auto count = static_cast<int64_t>(count_);
  float from = -kInfinity, below = kInfinity, guess = -1;
  int64_t above_count = 0, from_count = count;
  double above = 0;  // weight of what is in order before the items between the bounds
  for (int cut = 0; cut < kMostCuts && from_count - above_count > kFewItems; ++cut) {
    const LogitMass found = kernels_.mass(keys.data(), weights_.data(), count, guess);
    if (found.mass >= mass) {
      from = guess;
      from_count = found.count;
    } else {
      below = guess;
      above = found.mass;
      above_count = found.count;
    }
    guess = from == -kInfinity ? 2 * guess : (from + std::min(below, 0.0f)) / 2;
  }
  collect_items(keys, from, below);
  size_t begin = 0, end = items_.size();
  while (end - begin > 1) {
    const size_t middle = begin + (end - begin) / 2;
    std::nth_element(items_.begin() + static_cast<std::ptrdiff_t>(begin),
                     items_.begin() + static_cast<std::ptrdiff_t>(middle),
                     items_.begin() + static_cast<std::ptrdiff_t>(end), before);
    double half = 0;
    for (size_t i = begin; i < middle; ++i) half += static_cast<double>(items_[i].weight);
    if (above + half >= mass) {
      end = middle;
    } else {
      above += half;
      begin = middle;
    }
  }
  // None: the weights add up to a little less than all of them did.
  if (items_.empty()) return {-kInfinity, std::numeric_limits<int32_t>::max(), 0};
  return items_[begin];
}

void Candidates::keep_top_p(float p) {
  const Item last = last_within(values_, static_cast<double>(p) * total_);
  cut(values_, last.key, [this, last](size_t place) {
    return !before(last, {values_[place], id_of(place), 0});
  });
}

void Candidates::keep_typical(float p) {
  const double log_total = std::log(total_);
  double entropy = 0;
  for (size_t i = 0; i < count_; ++i) {
    // What weighs nothing may lie infinitely far below.
    if (weights_[i] == 0) continue;
    entropy +=
        static_cast<double>(weights_[i]) / total_ * (log_total - static_cast<double>(values_[i]));
  }
  for (size_t i = 0; i < count_; ++i) {
    const double surprise = log_total - static_cast<double>(values_[i]);
    keys_[i] = weights_[i] == 0 ? -kInfinity : -static_cast<float>(std::abs(surprise - entropy));
  }
  const float last = last_within(keys_, static_cast<double>(p) * total_).key;
  cut(keys_, last, [](size_t) { return true; });
}

void Candidates::keep_min_p(float min_p) {
  cut(values_, std::log(min_p), [](size_t) { return true; });
}

float Candidates::log_prob(size_t place) const {
  return static_cast<float>(static_cast<double>(values_[place]) - std::log(total_));
}

TopToken Candidates::draw(double u) const {
  const double target = u * total_;
  double reached = 0;
  size_t block = 0;
  while ((block + 1) * kLogitBlock < count_ && reached + sums_[block] <= target) {
    reached += sums_[block++];
  }
  const size_t end = std::min(count_, (block + 1) * kLogitBlock);
  for (size_t place = block * kLogitBlock; place < end; ++place) {
    reached += static_cast<double>(weights_[place]);
    if (reached > target) return {id_of(place), log_prob(place)};
  }
  // The sum was rounded up: the last one that can be drawn.
  size_t last = end - 1;
  while (weights_[last] == 0) --last;
  return {id_of(last), log_prob(last)};
}

void Candidates::list(int32_t limit, std::vector<TopToken>& top) {
  const std::span<const float> values = std::span(values_).first(count_);
  const float bound = std::max(kth_bound(kernels_, values, limit, keys_), kLeastLogit);
  const int64_t found =
      kernels_.find(values.data(), static_cast<int64_t>(count_), bound, places_.data());
  TopList best(top, limit);
  for (int64_t i = 0; i < found; ++i) {
    const auto place = static_cast<size_t>(places_[static_cast<size_t>(i)]);
    best.offer(id_of(place), values_[place]);
  }
  best.normalize(0, std::log(total_));
}

}  // namespace tensormill
