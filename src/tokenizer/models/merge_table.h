#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace tensormill {

// (left id, right id) -> rank of the merge, rank -> id of the merged token. Open addressing, made
// once; a slot has a part of the pair's hash, so that most lookups touch nothing else.
class MergeTable {
 public:
  static constexpr int32_t kNone = std::numeric_limits<int32_t>::max();  // behind all ranks

  explicit MergeTable(size_t expected = 0) {
    size_t slots = 16;
    while (slots < expected + expected / 2) slots *= 2;
    slots_.resize(slots);
    pairs_.reserve(expected);
  }

  // The next rank. Of the same pair the last one counts.
  void add(int32_t left, int32_t right, int32_t id) {
    const uint64_t hash = hash_of(left, right);
    size_t at = hash & (slots_.size() - 1);
    while (slots_[at].rank >= 0 && !is(slots_[at], tag_of(hash), left, right)) {
      at = (at + 1) & (slots_.size() - 1);
    }
    slots_[at] = {tag_of(hash), static_cast<int32_t>(pairs_.size())};
    pairs_.push_back({left, right, id});
  }

  int32_t find(int32_t left, int32_t right) const {
    const uint64_t hash = hash_of(left, right);
    for (size_t at = hash & (slots_.size() - 1); slots_[at].rank >= 0;
         at = (at + 1) & (slots_.size() - 1)) {
      if (is(slots_[at], tag_of(hash), left, right)) return slots_[at].rank;
    }
    return kNone;
  }
  int32_t id(int32_t rank) const { return pairs_[static_cast<size_t>(rank)].id; }

 private:
  struct Slot {
    uint32_t tag = 0;
    int32_t rank = -1;
  };
  struct Pair {
    int32_t left, right, id;
  };
  static uint64_t hash_of(int32_t left, int32_t right) {
    uint64_t hash =
        static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
    hash *= 0x9e3779b97f4a7c15u;
    return hash ^ (hash >> 32);
  }
  static uint32_t tag_of(uint64_t hash) { return static_cast<uint32_t>(hash >> 32); }
  bool is(const Slot& slot, uint32_t tag, int32_t left, int32_t right) const {
    if (slot.tag != tag) return false;
    const Pair& pair = pairs_[static_cast<size_t>(slot.rank)];
    return pair.left == left && pair.right == right;
  }

  std::vector<Slot> slots_;
  std::vector<Pair> pairs_;  // by rank
};

}  // namespace tensormill
