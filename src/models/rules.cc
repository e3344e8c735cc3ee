#include <algorithm>

#include "models/spec.h"

namespace tensormill {
namespace {

int64_t norm_parameters(const NormSpec& norm, int32_t width) {
  if (norm.kind == NormKind::kNone) return 0;
  return norm.shift ? 2 * int64_t{width} : width;
}

int64_t body_parameters(const AttentionSpec& attention, int32_t width) {
  const int64_t rows = int64_t{attention.query_rows()} + 2 * int64_t{attention.kv_rows()};
  return rows * width + (attention.qkv_bias ? rows : 0) + int64_t{width} * attention.query_rows() +
         (attention.out_bias ? width : 0);
}

int64_t body_parameters(const MlpSpec& mlp, int32_t width) {
  const int64_t rows = int64_t{mlp.width} * (mlp.gated ? 2 : 1);
  return rows * width + (mlp.bias ? rows : 0) + int64_t{width} * mlp.width + (mlp.bias ? width : 0);
}

}  // namespace

std::vector<LayerRef> uniform_layers(int32_t layers) {
  std::vector<LayerRef> result(static_cast<size_t>(layers));
  for (size_t i = 0; i < result.size(); ++i) result[i].weights = static_cast<uint16_t>(i);
  return result;
}

std::vector<CacheLayer> cache_layers(const TransformerSpec& spec) {
  std::vector<CacheLayer> layers;
  for_each_attention(spec, [&](const AttentionSpec& a) { layers.push_back({a.kv_heads, a.dim}); });
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
  bool causal = spec.stacks.size() == 1;
  for_each_attention(spec, [&](const AttentionSpec& a) { causal = causal && a.mask.causal; });
  return {causal, causal, causal};
}

bool has_dynamic_rope(const TransformerSpec& spec) {
  bool dynamic = false;
  for_each_attention(spec, [&](const AttentionSpec& a) {
    dynamic = dynamic || (a.rope.dim > 0 && a.rope.scaling == RopeScaling::kDynamic);
  });
  return dynamic;
}

int64_t count_parameters(const TransformerSpec& spec) {
  int64_t total = 0;
  for (const StackSpec& stack : spec.stacks) {
    const int64_t width = stack.width;
    total += (int64_t{stack.embedding.vocabulary} + stack.embedding.position_rows) * width;
    total += norm_parameters(stack.final_norm, stack.width);
    std::vector<uint16_t> counted;
    for (const LayerRef& layer : stack.layers) {
      if (std::find(counted.begin(), counted.end(), layer.weights) != counted.end()) continue;
      counted.push_back(layer.weights);
      for (const BranchSpec& branch : stack.kinds[layer.kind]) {
        total += norm_parameters(branch.in, stack.width) + norm_parameters(branch.out, stack.width);
        total += std::visit([&](const auto& body) { return body_parameters(body, stack.width); },
                            branch.body);
      }
    }
  }
  const StackSpec& last = spec.stacks.back();
  if (!spec.head.tied) total += int64_t{last.embedding.vocabulary} * last.width;
  if (spec.head.bias) total += last.embedding.vocabulary;
  return total;
}

}  // namespace tensormill
