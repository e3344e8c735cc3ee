#include "models/weights.h"

#include <unistd.h>

#include <utility>

#include "base/error.h"

namespace tensormill {
namespace {

NormWeights lay_out_norm(const NormSpec& spec) {
  return {spec, {}, {}};
}

BranchWeights lay_out_branch(const BranchSpec& branch, int32_t width) {
  BranchWeights weights;
  weights.in = lay_out_norm(branch.in);
  weights.out = lay_out_norm(branch.out);
  LinearSpec first, second;
  first.inner = second.outputs = width;
  second.split = Split::kInputs;
  if (const auto* attention = std::get_if<AttentionSpec>(&branch.body)) {
    first.outputs = attention->query_rows() + 2 * attention->kv_rows();
    first.bias = attention->qkv_bias;
    second.inner = attention->query_rows();
    second.bias = attention->out_bias;
  } else {
    const MlpSpec& mlp = std::get<MlpSpec>(branch.body);
    first.outputs = mlp.gated ? 2 * mlp.width : mlp.width;
    first.bias = second.bias = mlp.bias;
    first.activation = mlp.activation;
    first.gated = mlp.gated;
    second.inner = mlp.width;
  }
  weights.first = Linear(first);
  weights.second = Linear(second);
  return weights;
}

int64_t table_bytes(const StackSpec& stack, WeightFormat format) {
  const int64_t rows = int64_t{stack.embedding.vocabulary} + stack.embedding.position_rows;
  return rows * stack.width * static_cast<int64_t>(dtype_size(plain_type(format)));
}

void allocate_norm(NormWeights& norm, int32_t width) {
  if (norm.spec.kind == NormKind::kNone) return;
  const size_t bytes = static_cast<size_t>(width) * sizeof(float);
  norm.weight = Buffer(bytes, "norms");
  if (norm.spec.shift) norm.shift = Buffer(bytes, "norms");
}

int64_t machine_bytes() {
  return int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGE_SIZE);
}

}  // namespace

ModelWeights lay_out(const TransformerSpec& spec) {
  const StackSpec& stack = spec.stacks.front();
  ModelWeights weights;
  for (const LayerRef& ref : stack.layers) {
    if (ref.weights < weights.layers.size()) continue;
    LayerWeights layer;
    for (const BranchSpec& branch : stack.kinds[ref.kind]) {
      layer.branches.push_back(lay_out_branch(branch, stack.width));
    }
    weights.layers.push_back(std::move(layer));
  }
  weights.final_norm = lay_out_norm(stack.final_norm);
  LinearSpec head;
  head.outputs = stack.embedding.vocabulary;
  head.inner = stack.width;
  head.split = Split::kVocabulary;
  head.bias = spec.head.bias;
  weights.head = Linear(head);
  return weights;
}

int64_t weight_bytes(const ModelWeights& weights, const TransformerSpec& spec,
                     WeightFormat format) {
  const StackSpec& stack = spec.stacks.front();
  int64_t total = table_bytes(stack, format);
  for_each_weight(
      weights, [&](const Linear& linear) { total += linear.bytes(format); },
      [&](const NormWeights& norm) {
        if (norm.spec.kind == NormKind::kNone) return;
        total += int64_t{stack.width} * int64_t{sizeof(float)} * (norm.spec.shift ? 2 : 1);
      });
  return total;
}

void allocate(ModelWeights& weights, const TransformerSpec& spec, WeightFormat format) {
  const int64_t needed = weight_bytes(weights, spec, format);
  if (needed > machine_bytes()) {
    constexpr double kGiB = 1024.0 * 1024 * 1024;
    throw_error(ErrorKind::kOutOfMemory, "the weights need {:.1f} GiB, this machine has {:.1f} GiB",
                static_cast<double>(needed) / kGiB, static_cast<double>(machine_bytes()) / kGiB);
  }
  const StackSpec& stack = spec.stacks.front();
  weights.format = format;
  weights.table_type = plain_type(format);
  const size_t row_bytes = static_cast<size_t>(stack.width) * dtype_size(weights.table_type);
  weights.embedding =
      Buffer(static_cast<size_t>(stack.embedding.vocabulary) * row_bytes, "embeddings");
  if (stack.embedding.position_rows > 0) {
    weights.positions =
        Buffer(static_cast<size_t>(stack.embedding.position_rows) * row_bytes, "positions");
  }
  for_each_weight(
      weights, [&](Linear& linear) { linear.allocate(format); },
      [&](NormWeights& norm) { allocate_norm(norm, stack.width); });
}

void join_parallel_biases(ModelWeights& weights, const TransformerSpec& spec) {
  const StackSpec& stack = spec.stacks.front();
  std::vector<bool> done(weights.layers.size());
  for (const LayerRef& ref : stack.layers) {
    if (done[ref.weights]) continue;
    done[ref.weights] = true;
    const std::vector<BranchSpec>& kind = stack.kinds[ref.kind];
    for (size_t b = 0; b + 1 < kind.size(); ++b) {
      if (!kind[b].with_next) continue;
      std::vector<BranchWeights>& branches = weights.layers[ref.weights].branches;
      branches[b].second.move_bias_to(branches[b + 1].second);
    }
  }
}

}  // namespace tensormill
