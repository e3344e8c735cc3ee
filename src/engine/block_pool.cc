#include "engine/block_pool.h"

#include <algorithm>
#include <bit>

namespace tensormill {

BlockPool::BlockPool(int32_t blocks)
    : blocks_(static_cast<size_t>(blocks)),
      buckets_(std::bit_ceil(static_cast<size_t>(blocks) * 2 + 1), -1) {
  for (int32_t block = 0; block < blocks; ++block) link_free(block, false);
}

int32_t BlockPool::take() {
  const int32_t block = head_;
  if (block < 0) return -1;
  unlink_free(block);
  forget(block);
  at(block).holders = 1;
  return block;
}

void BlockPool::release(int32_t block) {
  Block& b = at(block);
  if (--b.holders > 0) return;
  link_free(block, b.bucket < 0);  // what nobody can find is taken first
}

BlockPool::Found BlockPool::find(const Key& key) {
  const int32_t block = lookup(key, bucket_of(key));
  if (block < 0) return {};
  Block& b = at(block);
  if (b.holders++ == 0) unlink_free(block);
  return {block, b.content};
}

BlockPool::Content BlockPool::publish(int32_t block, const Key& key) {
  const size_t bucket = bucket_of(key);
  if (const int32_t known = lookup(key, bucket); known >= 0) return at(known).content;
  Block& b = at(block);
  b.content = next_content_++;
  b.before = key.before;
  b.rope_length = key.rope_length;
  std::copy(key.tokens.begin(), key.tokens.end(), b.tokens.begin());
  b.bucket = static_cast<int32_t>(bucket);
  b.chained = buckets_[bucket];
  buckets_[bucket] = block;
  return b.content;
}

size_t BlockPool::bucket_of(const Key& key) const {
  uint64_t hash = key.before * 0x9E3779B97F4A7C15 + static_cast<uint32_t>(key.rope_length);
  for (const int32_t token : key.tokens) {
    hash = (hash ^ static_cast<uint32_t>(token)) * 0xFF51AFD7ED558CCD;
    hash ^= hash >> 32;
  }
  return hash & (buckets_.size() - 1);
}

// Compares the whole key: a hash alone could give one request another one's content.
int32_t BlockPool::lookup(const Key& key, size_t bucket) const {
  int32_t block = buckets_[bucket];
  for (; block >= 0; block = at(block).chained) {
    const Block& b = at(block);
    if (b.before == key.before && b.rope_length == key.rope_length &&
        std::equal(key.tokens.begin(), key.tokens.end(), b.tokens.begin())) {
      break;
    }
  }
  return block;
}

void BlockPool::forget(int32_t block) {
  Block& b = at(block);
  if (b.bucket < 0) return;
  int32_t* link = &buckets_[static_cast<size_t>(b.bucket)];
  while (*link != block) link = &at(*link).chained;
  *link = b.chained;
  b.bucket = b.chained = -1;
}

void BlockPool::link_free(int32_t block, bool first) {
  Block& b = at(block);
  b.previous = first ? -1 : tail_;
  b.next = first ? head_ : -1;
  (b.previous < 0 ? head_ : at(b.previous).next) = block;
  (b.next < 0 ? tail_ : at(b.next).previous) = block;
  ++free_;
}

void BlockPool::unlink_free(int32_t block) {
  Block& b = at(block);
  (b.previous < 0 ? head_ : at(b.previous).next) = b.next;
  (b.next < 0 ? tail_ : at(b.next).previous) = b.previous;
  b.previous = b.next = -1;
  --free_;
}

}  // namespace tensormill
