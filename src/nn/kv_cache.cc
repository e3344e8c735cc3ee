#include "nn/kv_cache.h"

#include <utility>

namespace tensormill {

KvCache::KvCache(const std::vector<CacheLayer>& layers, DType type, int32_t blocks, Device& device)
    : type_(type), blocks_(blocks) {
  size_t bytes = 0;
  for (const CacheLayer& layer : layers) {
    const KvStrides keys = kv_strides(type, layer.kv_heads, layer.dim);
    const KvStrides values = kv_strides(type, layer.kv_heads, layer.value_dim);
    const auto size = [&](const KvStrides& stride) {
      return static_cast<size_t>(stride.block) * static_cast<size_t>(blocks) * dtype_size(type);
    };
    planes_.push_back({bytes, bytes + size(keys), keys, values});
    bytes += size(keys) + size(values);
  }
  memory_ = Buffer(bytes, "KV cache", device);
}

KvView KvCache::view(int32_t layer, const int32_t* table, int32_t table_stride) const {
  const Plane& plane = planes_[static_cast<size_t>(layer)];
  auto* base = memory_.as<std::byte>();
  return {base + plane.keys, base + plane.values, type_, plane.k_stride, plane.v_stride, table,
          table_stride};
}

int64_t cache_bytes_per_token(const std::vector<CacheLayer>& layers, DType type) {
  int64_t elements = 0;
  for (const CacheLayer& layer : layers) {
    elements += layer.kv_heads * (kv_block(type, layer.dim) + kv_block(type, layer.value_dim));
  }
  return elements * static_cast<int64_t>(dtype_size(type)) / kBlockTokens;
}

}  // namespace tensormill
