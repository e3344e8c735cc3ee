#pragma once

#include <cstdint>
#include <vector>

#include "kernels/table.h"
#include "tensor/tensor.h"

namespace tensormill {

// What one layer stores for a token: a key and a value of [kv_heads, dim] each.
struct CacheLayer {
  int32_t kv_heads = 0, dim = 0;
};

// Keys and values of all layers: for each layer two planes of `blocks` blocks of kBlockTokens
// tokens, laid out as KvView says. Which sequence owns which block is the caller's affair.
class KvCache {
 public:
  // Errors: kOutOfMemory.
  KvCache(const std::vector<CacheLayer>& layers, DType type, int32_t blocks);

  int32_t blocks() const { return blocks_; }
  DType type() const { return type_; }
  size_t bytes() const { return memory_.size(); }
  // table: [sequences, table_stride] block ids below blocks().
  KvView view(int32_t layer, const int32_t* table, int32_t table_stride) const;

 private:
  struct Plane {
    size_t keys, values;  // byte offsets
    int64_t block_stride, head_stride;
  };
  DType type_;
  int32_t blocks_;
  std::vector<Plane> planes_;
  Buffer memory_;
};

// Bytes of one token over all layers.
int64_t cache_bytes_per_token(const std::vector<CacheLayer>& layers, DType type);

}  // namespace tensormill
