#include "models/workspace.h"

#include <algorithm>

#include "nn/chunked_attention.h"

namespace tensormill {
namespace {

// Hands out aligned pieces of one memory; without memory it only counts.
class Arena {
 public:
  explicit Arena(std::byte* base) : base_(base) {}

  void* take(int64_t count, DType type) {
    constexpr size_t kAlign = 256;
    void* piece = base_ == nullptr ? nullptr : base_ + used_;
    const size_t bytes = static_cast<size_t>(count) * dtype_size(type);
    used_ += (bytes + kAlign - 1) / kAlign * kAlign;
    return piece;
  }
  Int8Group* quantized(int64_t rows, int64_t width) {
    const int64_t bytes = rows * int8_groups(width) * int64_t{sizeof(Int8Group)};
    return static_cast<Int8Group*>(take(bytes, DType::kU8));
  }
  float* floats(int64_t count) { return static_cast<float*>(take(count, DType::kF32)); }
  int32_t* ints(int64_t count) { return static_cast<int32_t*>(take(count, DType::kI32)); }
  size_t used() const { return used_; }

 private:
  std::byte* base_;
  size_t used_ = 0;
};

void lay_out_experts(const WorkspaceSizes& sizes, Arena& arena, Workspace::Arrays& a) {
  const int64_t rows = sizes.limits.rows, places = rows * sizes.active;
  const auto integers = [&](int64_t count) {
    return static_cast<int32_t*>(arena.take(count, DType::kI32));
  };
  a.router = arena.floats(rows * sizes.experts);
  a.routes.expert = integers(places);
  a.routes.weight = arena.floats(places);
  a.routes.place = integers(places);
  a.routes.row = integers(places);
  a.routes.begin = integers(int64_t{sizes.experts} + 1);
  if (sizes.int8) {
    a.taken_q = arena.quantized(places, sizes.width);
    a.expert_inner_q = arena.quantized(rows, int64_t{sizes.expert_groups} * kInt8Group);
  } else {
    a.taken = arena.take(places * sizes.width, sizes.types.input);
  }
  a.expert_inner = arena.take(rows * sizes.expert_inner, sizes.inner_type());
  a.expert_value = arena.floats(places * sizes.width);
}

Workspace::Arrays lay_out(const WorkspaceSizes& sizes, Arena& arena) {
  const int64_t rows = sizes.limits.rows, logit_rows = sizes.limits.logit_rows;
  Workspace::Arrays a;
  a.residual = arena.floats(rows * sizes.streams * sizes.width);
  if (sizes.streams > 1) {
    a.joined = arena.floats(rows * sizes.streams * sizes.width);
    a.joined_rows = arena.ints(rows * sizes.streams);
    a.joined_count = arena.ints(1);
  }
  a.axial = arena.ints(2 * rows);
  a.normed = arena.take(rows * std::max(sizes.width, sizes.head_width), sizes.types.input);
  a.qkv = arena.floats(rows * sizes.qkv);
  a.queries = arena.take(rows * sizes.queries, sizes.types.query);
  a.attended = arena.take(rows * sizes.attended, sizes.inner_type());
  a.mlp = arena.take(rows * sizes.mlp, sizes.inner_type());
  for (float*& partial : a.partial) partial = arena.floats(rows * sizes.width);
  if (sizes.projects) a.embedded = arena.floats(rows * sizes.head_width);
  if (sizes.limits.hidden) a.hidden = arena.floats(rows * sizes.head_width);
  a.logit_normed = arena.take(logit_rows * sizes.streams * sizes.width, sizes.types.input);
  a.logit_hidden = arena.take(logit_rows * sizes.head_width, sizes.types.input);
  a.logits = arena.floats(logit_rows * sizes.vocabulary);
  for (const int32_t dim : sizes.ropes) a.cos_sin.push_back(arena.floats(rows * dim));
  a.attention_scratch = arena.take(static_cast<int64_t>(sizes.attention_scratch), DType::kU8);
  a.latent = arena.floats(rows * sizes.latent);
  a.query_short = arena.floats(rows * sizes.query_short);
  a.query_normed = arena.take(rows * sizes.query_short, sizes.types.input);
  a.plain = arena.take(rows * sizes.plain, sizes.types.input);
  a.expanded = arena.take(rows * sizes.expanded, sizes.types.input);
  if (sizes.int8) {
    a.normed_q = arena.quantized(rows, sizes.width);
    a.inner_q = arena.quantized(rows, std::max(sizes.attended, sizes.mlp));
    a.logit_q = arena.quantized(logit_rows, sizes.head_width);
  }
  if (sizes.experts > 0) lay_out_experts(sizes, arena, a);
  return a;
}

}  // namespace

WorkspaceSizes workspace_sizes(const TransformerSpec& spec, WeightFormat format,
                               const KernelTable& kernels, const StepLimits& limits,
                               Quantization quantize) {
  const StackSpec& stack = spec.stacks.front();
  WorkspaceSizes sizes;
  sizes.limits = limits;
  sizes.width = stack.width;
  sizes.streams = stack.streams;
  sizes.head_width = spec.head_width();
  sizes.projects = stack.embedding.width > 0;
  sizes.vocabulary = stack.embedding.vocabulary;
  sizes.types = kernels.types(format);
  sizes.int8 = quantize == Quantization::kDynamicInt8;
  for (const RopeSpec& rope : distinct_ropes(spec)) sizes.ropes.push_back(rope.axes * rope.dim);
  for (const std::vector<BranchSpec>& kind : stack.kinds) {
    for (const BranchSpec& branch : kind) {
      if (const auto* attention = std::get_if<AttentionSpec>(&branch.body)) {
        sizes.attended = std::max(sizes.attended, attention->attended());
        const LatentSpec& latent = attention->latent;
        sizes.latent = std::max(sizes.latent, latent.rank);
        sizes.query_short = std::max(sizes.query_short, latent.query_rank);
        sizes.plain = std::max(sizes.plain, attention->heads * latent.plain);
        sizes.expanded = std::max(sizes.expanded, attention->heads * latent.values);
        sizes.qkv = std::max(sizes.qkv, attention->qkv_rows());
        size_t scratch = 0;
        if (attention->core == Core::kDense) {
          sizes.queries = std::max(sizes.queries, attention->query_rows());
          scratch = kernels.attention_scratch(limits.rows, attention->heads, attention->values(),
                                              limits.max_keys);
        } else {
          scratch = chunked_attention_scratch(*attention, limits.rows);
        }
        sizes.attention_scratch = std::max(sizes.attention_scratch, scratch);
      } else {
        const MlpSpec& mlp = std::get<MlpSpec>(branch.body);
        const ExpertsSpec& experts = mlp.experts;
        sizes.experts = std::max(sizes.experts, experts.count);
        sizes.active = std::max(sizes.active, experts.active);
        sizes.expert_inner = std::max(sizes.expert_inner, experts.active * mlp.width);
        sizes.expert_groups = std::max(
            sizes.expert_groups, experts.active * static_cast<int32_t>(int8_groups(mlp.width)));
        if (experts.count == 0) sizes.mlp = std::max(sizes.mlp, mlp.width);
      }
    }
  }
  return sizes;
}

size_t workspace_bytes(const WorkspaceSizes& sizes) {
  Arena arena(nullptr);
  lay_out(sizes, arena);
  return arena.used();
}

Workspace::Workspace(const WorkspaceSizes& sizes, Device& device)
    : limits_(sizes.limits), memory_(workspace_bytes(sizes), "activations", device) {
  Arena arena(memory_.as<std::byte>());
  arrays_ = lay_out(sizes, arena);
  if (sizes.streams == 1) return;
  std::vector<int32_t> rows(static_cast<size_t>(limits_.rows * sizes.streams));
  for (int32_t i = 0; i < limits_.rows * sizes.streams; ++i) {
    rows[static_cast<size_t>(i)] = i % sizes.streams * limits_.rows + i / sizes.streams;
  }
  device.upload(arrays_.joined_rows, rows.data(), rows.size() * sizeof(int32_t));
}

}  // namespace tensormill
