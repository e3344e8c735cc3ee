#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/table.h"

namespace tensormill {

// Which of the cache's blocks belong to whom. A block that is full may be published under all that
// its content depends on; whoever has the same beginning then shares it. Blocks that nobody holds
// keep their content until they are taken again, the longest unused first. Nothing allocates after
// construction. Used by one thread.
class BlockPool {
 public:
  explicit BlockPool(int32_t blocks);

  int32_t total() const { return static_cast<int32_t>(blocks_.size()); }
  int32_t free() const { return free_; }

  // A block of one holder; its old content is forgotten. -1 where none is free.
  int32_t take();
  // Gives one hold back.
  void release(int32_t block);

  // What a full block's keys and values depend on: the content before it (kRoot for the first
  // block), its tokens, and the rope length (0 where the rope doesn't depend on it).
  using Content = uint64_t;
  static constexpr Content kRoot = 0;
  struct Key {
    Content before = kRoot;
    std::span<const int32_t> tokens;  // kBlockTokens of them
    int32_t rope_length = 0;
  };

  struct Found {
    int32_t block = -1;  // -1: not there; else one hold on it is the caller's
    Content content = kRoot;
  };
  Found find(const Key& key);
  // Makes a full block that the caller holds findable; returns its content. Where another block
  // already has that content, that one stays the findable one.
  Content publish(int32_t block, const Key& key);

 private:
  struct Block {
    int32_t holders = 0;
    int32_t previous = -1, next = -1;   // in the list of free blocks
    int32_t bucket = -1, chained = -1;  // in the table; bucket -1: not findable
    Content content = 0, before = 0;
    int32_t rope_length = 0;
    std::array<int32_t, kBlockTokens> tokens{};
  };

  size_t bucket_of(const Key& key) const;
  int32_t lookup(const Key& key, size_t bucket) const;
  void forget(int32_t block);
  void link_free(int32_t block, bool first);
  void unlink_free(int32_t block);
  Block& at(int32_t block) { return blocks_[static_cast<size_t>(block)]; }
  const Block& at(int32_t block) const { return blocks_[static_cast<size_t>(block)]; }

  std::vector<Block> blocks_;
  std::vector<int32_t> buckets_;  // first block of each chain, -1: none; a power of two of them
  int32_t head_ = -1, tail_ = -1, free_ = 0;
  Content next_content_ = kRoot + 1;  // never given twice, so a key can't be confused with another
};

}  // namespace tensormill
