#include "nn/hash_table.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "nn/normal_draws.h"

namespace tensormill {
namespace {

// The power of two whose buckets suit a length.
int32_t power_for(const ChunkSpec& chunk, int32_t padded) {
  return std::bit_width(2 * static_cast<uint32_t>(padded / chunk.length)) - 1;
}

std::vector<int32_t> derived_factors(const AttentionSpec& attention, int32_t power) {
  const int32_t length = attention.chunk.length;
  const auto root = static_cast<int32_t>(std::sqrt(attention.hash.positions / length));
  const int64_t most = 2 * int64_t{std::max(root, length)};
  if (int64_t{1} << power <= most) return {1 << power};
  return {1 << power / 2, 1 << (power - power / 2)};
}

// Factors of every number of buckets, by the power of two derived.
std::map<int32_t, std::vector<int32_t>> all_factors(const AttentionSpec& attention) {
  if (!attention.hash.buckets.empty()) return {{0, attention.hash.buckets}};
  std::map<int32_t, std::vector<int32_t>> all;
  const int32_t longest = power_for(attention.chunk, attention.hash.positions);
  for (int32_t power = 2; power <= longest; ++power) {
    all[power] = derived_factors(attention, power);
  }
  return all;
}

int32_t columns_of(const std::vector<int32_t>& factors) {
  return std::accumulate(factors.begin(), factors.end(), 0) / 2;
}

int64_t values_of(const AttentionSpec& attention, int32_t columns) {
  return int64_t{attention.query_rows()} * attention.hash.rounds * columns;
}

}  // namespace

int32_t padded_length(const ChunkSpec& chunk, int32_t tokens) {
  if (tokens <= chunk.pad_above) return tokens;
  return (tokens + chunk.pad_to - 1) / chunk.pad_to * chunk.pad_to;
}

int64_t rotation_values(const AttentionSpec& attention) {
  int64_t total = 0;
  for (const auto& [power, factors] : all_factors(attention)) {
    total += values_of(attention, columns_of(factors));
  }
  return total;
}

HashTable::HashTable(const AttentionSpec& attention, uint32_t own_seed, const HashTable* known)
    : chunk_(attention.chunk), derived_(attention.hash.buckets.empty()) {
  if (known != nullptr && attention.hash.seed) {
    rotations_ = known->rotations_;
    return;
  }
  const uint32_t seed = attention.hash.seed.value_or(own_seed);
  for (auto& [power, factors] : all_factors(attention)) {
    const int32_t columns = columns_of(factors);
    rotations_[power] = {factors, columns,
                         std::make_shared<const std::vector<float>>(
                             normal_draws(seed, values_of(attention, columns)))};
  }
}

const Rotations& HashTable::rotations(int32_t prompt) const {
  if (!derived_) return rotations_.begin()->second;
  // The shortest sequence of more than one chunk.
  const int32_t shortest = chunk_.pad_to > chunk_.length ? chunk_.pad_above + 1 : chunk_.length + 1;
  return rotations_.at(power_for(chunk_, padded_length(chunk_, std::max(prompt, shortest))));
}

}  // namespace tensormill
