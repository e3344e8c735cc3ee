#include "models/weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "tensor/convert.h"

namespace tensormill {
namespace {

NormWeights lay_out_norm(const NormSpec& spec, int32_t width) {
  return {spec, width, {}, {}};
}

Linear lay_out_projection(int32_t outputs, int32_t inner, bool bias = false) {
  LinearSpec spec;
  spec.bias = bias;
  spec.outputs = outputs;
  spec.inner = inner;
  return Linear(spec);
}

// One copy a head.
Linear lay_out_heads(int32_t heads, int32_t outputs, int32_t inner) {
  LinearSpec spec;
  spec.copies = heads;
  spec.outputs = outputs;
  spec.inner = inner;
  return Linear(spec);
}

LatentWeights lay_out_latent(const AttentionSpec& attention, int32_t width) {
  const LatentSpec& spec = attention.latent;
  const int32_t heads = attention.heads, rope = attention.rope.dim;
  LatentWeights weights;
  const int32_t from = spec.query_rank > 0 ? spec.query_rank : width;
  if (spec.query_rank > 0) {
    weights.query_down = lay_out_projection(spec.query_rank, width, spec.bias);
    weights.query_norm = lay_out_norm(spec.query_norm, spec.query_rank);
  }
  weights.query = lay_out_heads(heads, spec.plain, from);
  weights.query_rope = lay_out_heads(heads, rope, from);
  weights.latent = lay_out_projection(spec.rank, width, spec.bias);
  weights.key_rope = lay_out_projection(rope, width, spec.bias);
  weights.norm = lay_out_norm(spec.norm, spec.rank);
  weights.absorb = lay_out_heads(heads, spec.rank, spec.plain);
  weights.expand = lay_out_heads(heads, spec.values, spec.rank);
  return weights;
}

BranchWeights lay_out_branch(const BranchSpec& branch, int32_t width, Quantization quantize) {
  const bool int8 = quantize == Quantization::kDynamicInt8;
  BranchWeights weights;
  weights.in = lay_out_norm(branch.in, width);
  weights.out = lay_out_norm(branch.out, width);
  weights.sum = lay_out_norm(branch.sum, width);
  LinearSpec first, second;
  first.inner = second.outputs = width;
  second.split = Split::kInputs;
  if (const auto* attention = std::get_if<AttentionSpec>(&branch.body)) {
    if (attention->latent.rank > 0) {
      weights.latent = lay_out_latent(*attention, width);
    } else {
      first.outputs = attention->qkv_rows();
      first.bias = attention->qkv_bias;
    }
    first.int8 = second.int8 =
        int8 && attention->latent.rank == 0 && attention->core == Core::kDense;
    second.inner = attention->out_inputs();
    second.bias = attention->out_bias;
    weights.q_norm = lay_out_norm(attention->q_norm, head_norm_width(*attention, attention->heads));
    weights.k_norm =
        lay_out_norm(attention->k_norm, head_norm_width(*attention, attention->kv_heads));
  } else {
    const MlpSpec& mlp = std::get<MlpSpec>(branch.body);
    first.outputs = mlp.gated ? 2 * mlp.width : mlp.width;
    first.bias = second.bias = mlp.bias;
    first.activation = mlp.activation;
    first.gated = mlp.gated;
    first.int8 = second.int8 = int8;
    second.inner = mlp.width;
    if (mlp.experts.count > 0) {
      first.copies = second.copies = mlp.experts.count;
      LinearSpec router;
      router.outputs = mlp.experts.count;
      router.inner = width;
      router.bias = mlp.experts.bias;
      weights.router = Linear(router);
    }
  }
  weights.first = Linear(first);
  weights.second = Linear(second);
  return weights;
}

int32_t embedding_width(const StackSpec& stack) {
  return stack.embedding.width > 0 ? stack.embedding.width : stack.width;
}

// Values of the embedding and of one table of positions.
int64_t embedding_size(const StackSpec& stack) {
  return int64_t{stack.embedding.vocabulary} * embedding_width(stack);
}
int64_t position_table_size(const TransformerSpec& spec, int32_t table) {
  const StackSpec& stack = spec.stacks.front();
  if (stack.embedding.position_rows == 0) return 0;
  if (stack.embedding.table == PositionTable::kAxial) {
    return int64_t{stack.embedding.axial[table].rows} * stack.width;
  }
  return table < spec.axes ? int64_t{stack.embedding.position_rows} * stack.width : 0;
}

int64_t norm_values(const NormWeights& norm) {
  if (norm.spec.kind == NormKind::kNone) return 0;
  return int64_t{norm.width} * (norm.spec.shift ? 2 : 1);
}

// A weight that the checkpoint has not is 1.
void allocate_norm(NormWeights& norm, Device& device) {
  if (norm.spec.kind == NormKind::kNone) return;
  const auto width = static_cast<size_t>(norm.width);
  norm.weight = Buffer(width * sizeof(float), "norms", device);
  if (!norm.spec.weight) std::fill_n(static_cast<float*>(norm.weight.host()), width, 1.0F);
  if (norm.spec.shift) norm.shift = Buffer(width * sizeof(float), "norms", device);
}

}  // namespace

ModelWeights lay_out(const TransformerSpec& spec, Quantization quantize) {
  const StackSpec& stack = spec.stacks.front();
  ModelWeights weights;
  for (const LayerRef& ref : stack.layers) {
    if (ref.weights < weights.layers.size()) continue;
    LayerWeights layer;
    for (const BranchSpec& branch : stack.kinds[ref.kind]) {
      layer.branches.push_back(lay_out_branch(branch, stack.width, quantize));
    }
    weights.layers.push_back(std::move(layer));
  }
  if (stack.embedding.width > 0) {
    weights.project_in = lay_out_projection(stack.width, stack.embedding.width);
    weights.project_out = lay_out_projection(stack.embedding.width, stack.width);
  }
  weights.embedding_norm = lay_out_norm(stack.embedding.norm, stack.width);
  weights.final_norm = lay_out_norm(stack.final_norm, stack.streams * stack.width);
  LinearSpec head;
  head.outputs = stack.embedding.vocabulary;
  head.inner = spec.head_width();
  head.split = Split::kVocabulary;
  head.bias = spec.head.bias;
  if (spec.head.scale != 1) head.scale = spec.head.scale;
  head.softcap = spec.head.softcap;
  head.int8 = quantize == Quantization::kDynamicInt8;
  weights.head = Linear(head);
  return weights;
}

int64_t weight_bytes(const ModelWeights& weights, const TransformerSpec& spec, WeightFormat format,
                     const KernelTable& kernels) {
  const StackSpec& stack = spec.stacks.front();
  int64_t total =
      (embedding_size(stack) + position_table_size(spec, 0) + position_table_size(spec, 1)) *
      static_cast<int64_t>(dtype_size(plain_type(format)));
  for_each_weight(
      weights, [&](const Linear& linear) { total += linear.bytes(format, kernels); },
      [&](const NormWeights& norm) { total += norm_values(norm) * int64_t{sizeof(float)}; });
  return total;
}

void allocate(ModelWeights& weights, const TransformerSpec& spec, WeightFormat format,
              const KernelTable& kernels, Device& device) {
  const int64_t needed = weight_bytes(weights, spec, format, kernels);
  const int64_t most = device.on_host() ? device.total() : device.available();
  if (needed > most) {
    constexpr double kGiB = 1024.0 * 1024 * 1024;
    const auto gib = [](int64_t bytes) { return static_cast<double>(bytes) / kGiB; };
    throw_error(ErrorKind::kOutOfMemory, "the weights need {:.1f} GiB, {} has {:.1f} GiB{}",
                gib(needed), device.on_host() ? "this machine" : device.name(), gib(most),
                device.on_host() ? "" : fmt::format(" left of {:.1f} GiB", gib(device.total())));
  }
  const StackSpec& stack = spec.stacks.front();
  weights.format = format;
  weights.table_type = plain_type(format);
  const size_t size = dtype_size(weights.table_type);
  weights.embedding =
      Buffer(static_cast<size_t>(embedding_size(stack)) * size, "embeddings", device);
  for (int32_t table = 0; table < 2; ++table) {
    const auto values = static_cast<size_t>(position_table_size(spec, table));
    if (values > 0) weights.positions[table] = Buffer(values * size, "positions", device);
  }
  for_each_weight(
      weights, [&](Linear& linear) { linear.allocate(format, kernels, device); },
      [&](NormWeights& norm) { allocate_norm(norm, device); });
}

void commit(ModelWeights& weights) {
  weights.embedding.commit();
  for (Buffer& table : weights.positions) table.commit();
  for_each_weight(
      weights, [](Linear& linear) { linear.commit(); }, [](NormWeights& norm) { norm.commit(); });
}

float embedding_scale(const EmbeddingSpec& spec, DType type) {
  float scale = spec.scale;
  if (!spec.scale_rounds) return scale;
  uint32_t rounded = 0;
  convert(&scale, DType::kF32, &rounded, type, 1);
  convert(&rounded, type, &scale, DType::kF32, 1);
  return scale;
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
