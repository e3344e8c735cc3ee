#include <algorithm>

#include "models/spec.h"
#include "nn/rope.h"

namespace tensormill {
namespace {

int64_t norm_parameters(const NormSpec& norm, int32_t width) {
  if (norm.kind == NormKind::kNone) return 0;
  return int64_t{norm.weight ? width : 0} + (norm.shift ? width : 0);
}

int64_t latent_parameters(const AttentionSpec& attention, int32_t width) {
  const LatentSpec& spec = attention.latent;
  const int64_t heads = attention.heads, rope = attention.rope.dim;
  const int64_t query = heads * (spec.plain + rope), bias = spec.bias ? 1 : 0;
  int64_t total = (spec.rank + rope) * (width + bias) + norm_parameters(spec.norm, spec.rank);
  if (spec.query_rank == 0) {
    total += query * width;
  } else {
    total += spec.query_rank * (query + width + bias) +
             norm_parameters(spec.query_norm, spec.query_rank);
  }
  return total + heads * (spec.plain + spec.values) * spec.rank +
         width * (int64_t{attention.out_inputs()} + (attention.out_bias ? 1 : 0));
}

int64_t body_parameters(const AttentionSpec& attention, int32_t width) {
  if (attention.latent.rank > 0) return latent_parameters(attention, width);
  const int64_t rows = attention.qkv_rows();
  return rows * width + (attention.qkv_bias ? rows : 0) + int64_t{width} * attention.out_inputs() +
         (attention.out_bias ? width : 0) +
         norm_parameters(attention.q_norm, head_norm_width(attention, attention.heads)) +
         norm_parameters(attention.k_norm, head_norm_width(attention, attention.kv_heads));
}

int64_t body_parameters(const MlpSpec& mlp, int32_t width) {
  const int64_t rows = int64_t{mlp.width} * (mlp.gated ? 2 : 1);
  const int64_t one =
      rows * width + (mlp.bias ? rows : 0) + int64_t{width} * mlp.width + (mlp.bias ? width : 0);
  const int64_t count = mlp.experts.count;
  if (count == 0) return one;
  return count * (one + width) + (mlp.experts.bias ? count : 0);
}

}  // namespace

std::vector<LayerRef> uniform_layers(int32_t layers) {
  std::vector<LayerRef> result(static_cast<size_t>(layers));
  for (size_t i = 0; i < result.size(); ++i) result[i].weights = static_cast<uint16_t>(i);
  return result;
}

std::vector<CacheLayer> cache_layers(const TransformerSpec& spec) {
  std::vector<CacheLayer> layers;
  for_each_attention(spec, [&](const AttentionSpec& a) {
    if (a.core == Core::kDense) layers.push_back({a.kv_heads, a.dim, a.values()});
  });
  return layers;
}

std::vector<RopeSpec> distinct_ropes(const TransformerSpec& spec) {
  std::vector<RopeSpec> ropes;
  for_each_attention(spec, [&](const AttentionSpec& a) {
    if (a.rope.dim == 0) return;
    if (std::find(ropes.begin(), ropes.end(), a.rope) == ropes.end()) ropes.push_back(a.rope);
  });
  return ropes;
}

// A token that sees none after it keeps its keys whatever follows: only then may a prompt be cut,
// its blocks be shared and its last steps be taken back. A second stack reads all of the first.
SequenceRules rules(const TransformerSpec& spec) {
  bool causal = spec.stacks.size() == 1, cached = true;
  for_each_attention(spec, [&](const AttentionSpec& a) { cached &= a.core == Core::kDense; });
  if (!cached) return {false, false, true, true};
  for_each_attention(
      spec, [&](const AttentionSpec& a) { causal = causal && a.mask.causal && !a.mask.prefix; });
  return {causal, causal, causal};
}

int32_t dynamic_rope_from(const TransformerSpec& spec) {
  int32_t from = 0;
  for (const RopeSpec& rope : distinct_ropes(spec)) {
    if (rope_length(rope) == RopeLength::kNone) continue;
    from = from == 0 ? rope.original_length : std::min(from, rope.original_length);
  }
  return from;
}

int64_t count_parameters(const TransformerSpec& spec) {
  int64_t total = 0;
  for (const StackSpec& stack : spec.stacks) {
    const int64_t width = stack.width;
    const EmbeddingSpec& embedding = stack.embedding;
    const int64_t row = embedding.width > 0 ? embedding.width : width;
    total += int64_t{embedding.vocabulary} * row;
    if (embedding.width > 0) total += 2 * row * width;
    if (embedding.table == PositionTable::kAxial) {
      for (const AxisSpec& axis : embedding.axial) total += int64_t{axis.rows} * axis.width;
    } else if (embedding.table == PositionTable::kLearned) {
      total += int64_t{embedding.position_rows} * spec.axes * width;
    }
    total += norm_parameters(embedding.norm, stack.width);
    total += norm_parameters(stack.final_norm, stack.streams * stack.width);
    std::vector<uint16_t> counted;
    for (const LayerRef& layer : stack.layers) {
      if (std::find(counted.begin(), counted.end(), layer.weights) != counted.end()) continue;
      counted.push_back(layer.weights);
      for (const BranchSpec& branch : stack.kinds[layer.kind]) {
        for (const NormSpec* norm : {&branch.in, &branch.out, &branch.sum}) {
          total += norm_parameters(*norm, stack.width);
        }
        total += std::visit([&](const auto& body) { return body_parameters(body, stack.width); },
                            branch.body);
      }
    }
  }
  const StackSpec& last = spec.stacks.back();
  if (!spec.head.tied) total += int64_t{last.embedding.vocabulary} * spec.head_width();
  if (spec.head.bias) total += last.embedding.vocabulary;
  return total;
}

}  // namespace tensormill
