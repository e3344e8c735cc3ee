#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tensormill {

struct Merge {
  int32_t rank, id;
};

// (left id, right id) -> rank and id of the merged token: open addressing, made once.
class MergeTable {
 public:
  explicit MergeTable(size_t expected = 0) {
    size_t slots = 16;
    while (slots < expected * 2) slots *= 2;
    slots_.resize(slots);
  }

  void set(int32_t left, int32_t right, Merge merge) {  // the last one counts
    const uint64_t key = key_of(left, right);
    size_t at = slot_of(key);
    while (slots_[at].merge.rank >= 0 && slots_[at].key != key) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = {key, merge};
  }

  const Merge* find(int32_t left, int32_t right) const {
    const uint64_t key = key_of(left, right);
    for (size_t at = slot_of(key); slots_[at].merge.rank >= 0;
         at = (at + 1) & (slots_.size() - 1)) {
      if (slots_[at].key == key) return &slots_[at].merge;
    }
    return nullptr;
  }

 private:
  struct Slot {
    uint64_t key = 0;
    Merge merge{-1, -1};
  };
  static uint64_t key_of(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  size_t slot_of(uint64_t key) const {
    key *= 0x9e3779b97f4a7c15u;
    return (key ^ (key >> 32)) & (slots_.size() - 1);
  }
  std::vector<Slot> slots_;
};

}  // namespace tensormill
