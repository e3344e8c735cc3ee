#include "nn/kv_cache.h"

#include <utility>

namespace tensormill {

KvCache::KvCache(const std::vector<CacheLayer>& layers, DType type, int32_t blocks)
    : type_(type), blocks_(blocks) {
  size_t bytes = 0;
  for (const CacheLayer& layer : layers) {
    const int64_t head_stride = int64_t{kBlockTokens} * layer.dim;
    const int64_t block_stride = head_stride * layer.kv_heads;
    const size_t plane =
        static_cast<size_t>(block_stride) * static_cast<size_t>(blocks) * dtype_size(type);
    planes_.push_back({bytes, bytes + plane, block_stride, head_stride});
    bytes += 2 * plane;
  }
  memory_ = Buffer(bytes, "KV cache");
}

KvView KvCache::view(int32_t layer, const int32_t* table, int32_t table_stride) const {
  const Plane& plane = planes_[static_cast<size_t>(layer)];
  auto* base = memory_.as<std::byte>();
  return {base + plane.keys,  base + plane.values, type_,
          plane.block_stride, plane.head_stride,   table,
          table_stride};
}

int64_t cache_bytes_per_token(const std::vector<CacheLayer>& layers, DType type) {
  int64_t elements = 0;
  for (const CacheLayer& layer : layers) elements += 2 * int64_t{layer.kv_heads} * layer.dim;
  return elements * static_cast<int64_t>(dtype_size(type));
}

}  // namespace tensormill
