#pragma once

#include <cstdint>
#include <vector>

#include "models/model.h"
#include "nn/kv_cache.h"
#include "nn/spec.h"
#include "nn/token_places.h"

namespace tensormill {

// kAxial: position p has row p / n of a first table and row p % n of a second, of n rows, each its
// own part of the width.
enum class PositionTable : uint8_t { kLearned, kSinusoidal, kAxial };

struct AxisSpec {
  int32_t rows = 0, width = 0;
};

// x = norm(project(scale * token's row) + positions' rows)
struct EmbeddingSpec {
  int32_t vocabulary = 0;
  int32_t width = 0;            // of a token's row, projected to the stack's; 0: that width
  int32_t position_rows = 0;    // of each axis' table of positions, 0: none
  int32_t position_offset = 0;  // row of position 0
  PositionTable table = PositionTable::kLearned;
  AxisSpec axial[2];  // kAxial
  float scale = 1;
  bool scale_rounds = false;  // to the type of the weights
  NormSpec norm;
};

// A layer names its kind and the set of weights it uses (layers may share one).
struct LayerRef {
  uint16_t kind = 0, weights = 0;
};

// With two streams both begin as the embedding; each branch reads one and adds to the other, which
// the next one reads. The first branch reads the second stream. The final norm goes over both, side
// by side.
struct StackSpec {
  int32_t width = 0;
  int32_t streams = 1;
  EmbeddingSpec embedding;
  std::vector<std::vector<BranchSpec>> kinds;  // each a layer's branches in order
  std::vector<LayerRef> layers;
  NormSpec final_norm;
};

// logits = cap(scale * (head(project(x)) + bias)); `project` where the embedding's width is not the
// stack's.
struct HeadSpec {
  bool tied = false;  // uses the embedding's weights
  bool bias = false;
  bool unit_rows = false;        // each row of the weight is divided by its length
  float scale = 1, softcap = 0;  // 0: no cap
};

// Everything the transformer needs to know of a family: one stack is a decoder.
struct TransformerSpec {
  std::vector<StackSpec> stacks;
  HeadSpec head;
  int32_t max_positions = 0;
  int32_t axes = 1;  // of positions
  BlankSpec blanks;

  // Width of the rows that the head reads.
  int32_t head_width() const {
    const StackSpec& last = stacks.back();
    return last.embedding.width > 0 ? last.embedding.width : last.streams * last.width;
  }
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

// Prompts longer than this have keys that depend on their length; 0: none do.
int32_t dynamic_rope_from(const TransformerSpec& spec);

// Trainable values, those of a tied head counted once.
int64_t count_parameters(const TransformerSpec& spec);

}  // namespace tensormill
