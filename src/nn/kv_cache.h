#pragma once

#include <cstdint>
#include <vector>

#include "kernels/table.h"
#include "tensor/tensor.h"

namespace tensormill {

// What one layer stores for a token: keys of [kv_heads, dim], values of [kv_heads, value_dim].
struct CacheLayer {
  int32_t kv_heads = 0, dim = 0, value_dim = 0;
};

// Keys and values of all layers, blocks of kBlockTokens tokens laid out as KvView says. On the host
// a block's data of all layers lie together: memory that is used for the first time is zeroed a few
// blocks at a time. On other devices each layer has two planes. Which sequence owns which block is
// the caller's affair.
class KvCache {
 public:
  // Errors: kOutOfMemory.
  KvCache(const std::vector<CacheLayer>& layers, DType type, int32_t blocks,
          Device& device = host_device());

  int32_t blocks() const { return blocks_; }
  DType type() const { return type_; }
  size_t bytes() const { return memory_.size(); }
  // table: [sequences, table_stride] block ids below blocks().
  KvView view(int32_t layer, const int32_t* table, int32_t table_stride) const;

 private:
  struct Plane {
    size_t keys, values;  // byte offsets
    KvStrides k_stride, v_stride;
  };
  DType type_;
  int32_t blocks_;
  std::vector<Plane> planes_;
  Buffer memory_;
};

// Elements between the blocks and between the heads of a plane that stands alone.
constexpr KvStrides kv_strides(DType type, int32_t kv_heads, int32_t dim) {
  const int64_t head = kv_block(type, dim);
  return {head * kv_heads, head};
}

// Bytes of one token over all layers.
int64_t cache_bytes_per_token(const std::vector<CacheLayer>& layers, DType type);

}  // namespace tensormill
