#pragma once

#include <vector>

#include "models/model.h"
#include "models/weights.h"
#include "nn/hash_table.h"
#include "nn/kv_cache.h"

namespace tensormill {

// A rope that some layers share: its angles are made once a step.
struct RopeTable {
  RopeSpec spec;
  Buffer inv_freq;       // [dim / 2]
  Buffer long_inv_freq;  // [dim / 2] or null
};

struct Model::Impl {
  TransformerSpec spec;
  ModelWeights weights;
  ModelInfo info;
  std::vector<RopeTable> ropes;
  std::vector<std::vector<int32_t>> rope_of;  // [kind][branch]: index into ropes, or -1
  std::vector<std::vector<Buffer>> slopes;    // [kind][branch]: [heads] or null
  std::vector<CacheLayer> cache_layers;       // one for each dense attention, in order of layers
  std::vector<HashTable> hashes;              // one for each hashed attention
  const KernelTable* kernels = nullptr;
  Stream stream = nullptr;
  Device* device = nullptr;

  const StackSpec& stack() const { return spec.stacks.front(); }
};

// The arguments of one attention with everything but addresses: what a device is asked about at
// load and what a step completes.
AttentionArgs attention_shape(const AttentionSpec& spec, WeightFormat format, DType cache_type,
                              const KernelTable& kernels);

// Whether every attention of the spec that caches runs on such a cache.
bool keeps_cache(const TransformerSpec& spec, WeightFormat format, DType cache_type,
                 const KernelTable& kernels);

}  // namespace tensormill
