#pragma once

#include <cstdint>
#include <vector>

#include "models/model.h"
#include "nn/kv_cache.h"
#include "nn/spec.h"

namespace tensormill {

struct EmbeddingSpec {
  int32_t vocabulary = 0;
  int32_t position_rows = 0;    // learned positions, 0: none
  int32_t position_offset = 0;  // row of position 0
  float scale = 1;
};

// A layer names its kind and the set of weights it uses (layers may share one).
struct LayerRef {
  uint16_t kind = 0, weights = 0;
};

struct StackSpec {
  int32_t width = 0;
  EmbeddingSpec embedding;
  std::vector<std::vector<BranchSpec>> kinds;  // each a layer's branches in order
  std::vector<LayerRef> layers;
  NormSpec final_norm;
};

struct HeadSpec {
  bool tied = false;  // uses the embedding's weights
  bool bias = false;
};

// Everything the transformer needs to know of a family: one stack is a decoder.
struct TransformerSpec {
  std::vector<StackSpec> stacks;
  HeadSpec head;
  int32_t max_positions = 0;
};

// Calls f(AttentionSpec) for every attention of every layer, in order.
template <class F>
void for_each_attention(const TransformerSpec& spec, F&& f) {
  for (const StackSpec& stack : spec.stacks) {
    for (const LayerRef& layer : stack.layers) {
      for (const BranchSpec& branch : stack.kinds[layer.kind]) {
        if (const auto* attention = std::get_if<AttentionSpec>(&branch.body)) f(*attention);
      }
    }
  }
}

// What the cache holds for a token, for every attention in order.
std::vector<CacheLayer> cache_layers(const TransformerSpec& spec);

// The different ropes of a model, in order: equal ones share their angles.
std::vector<RopeSpec> distinct_ropes(const TransformerSpec& spec);

// Layers that all have kind 0 and weights of their own.
std::vector<LayerRef> uniform_layers(int32_t layers);

// How sequences of this model may be scheduled.
SequenceRules rules(const TransformerSpec& spec);

// The keys of some tokens depend on the whole prompt's length.
bool has_dynamic_rope(const TransformerSpec& spec);

// Trainable values, those of a tied head counted once.
int64_t count_parameters(const TransformerSpec& spec);

}  // namespace tensormill
