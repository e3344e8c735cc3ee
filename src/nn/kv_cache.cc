#include "nn/kv_cache.h"

#include <utility>

namespace tensormill {

namespace {

// The same head of neighbouring blocks must not fall on the same few sets of the CPU's cache.
constexpr size_t kAlike = 64 << 10, kApart = 4 << 10;

}  // namespace

KvCache::KvCache(const std::vector<CacheLayer>& layers, DType type, int32_t blocks, Device& device)
    : type_(type), blocks_(blocks) {
  const size_t size = dtype_size(type), count = static_cast<size_t>(blocks);
  const bool together = device.on_host();
  size_t bytes = 0;
  const auto place = [&](const KvStrides& stride) {
    const size_t at = bytes;
    bytes += static_cast<size_t>(stride.block) * size * (together ? 1 : count);
    return at;
  };
  for (const CacheLayer& layer : layers) {
    const KvStrides keys = kv_strides(type, layer.kv_heads, layer.dim);
    const KvStrides values = kv_strides(type, layer.kv_heads, layer.value_dim);
    const size_t k = place(keys), v = place(values);
    planes_.push_back({k, v, keys, values});
  }
  if (together) {
    if (bytes > 0 && bytes % kAlike == 0) bytes += kApart;
    for (Plane& plane : planes_) {
      plane.k_stride.block = plane.v_stride.block = static_cast<int64_t>(bytes / size);
    }
    bytes *= count;
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
