#pragma once

#include <cstdint>
#include <vector>

#include "models/spec.h"
#include "nn/linear.h"

namespace tensormill {

// A norm in its final form, float32.
struct NormWeights {
  NormSpec spec;
  int32_t width = 0;
  Buffer weight, shift;  // [width]; shift null where there is none

  void commit() {
    weight.commit();
    shift.commit();
  }
  Norm norm() const { return {spec.kind, weight.as<float>(), shift.as<float>(), spec.eps}; }
};

// Of attention over a latent. Those of heads are one copy a head.
struct LatentWeights {
  Linear query_down, query, query_rope;  // queries: what doesn't turn, and what does
  Linear latent, key_rope;
  Linear absorb;  // a head's query to the latent's width: its keys' weight, transposed
  Linear expand;  // a head's attended latent to its value
  NormWeights query_norm, norm;
};

struct BranchWeights {
  NormWeights in, out, sum;
  NormWeights q_norm, k_norm;
  Linear first;   // query, key and value, or up (with gate)
  Linear second;  // attention output, or down
  LatentWeights latent;
  Linear router;  // of experts; its bias is added to their scores, not to the product
};

struct LayerWeights {
  std::vector<BranchWeights> branches;
};

// All weights of a model, as the kernels want them.
struct ModelWeights {
  WeightFormat format = WeightFormat::kF32;
  DType table_type = DType::kF32;
  Buffer embedding;                // [vocabulary, embedding width] of table_type
  Buffer positions[2];             // [rows, width] of table_type, or null
  Linear project_in, project_out;  // without outputs where the widths are the same
  NormWeights embedding_norm;
  std::vector<LayerWeights> layers;  // by LayerRef.weights
  NormWeights final_norm;
  Linear head;  // packed, of its own even where it is tied
};

// The type of plain values in a format: tables, keys and values.
constexpr DType plain_type(WeightFormat format) {
  switch (format) {
    case WeightFormat::kF32:
      return DType::kF32;
    case WeightFormat::kF16:
      return DType::kF16;
    case WeightFormat::kBF16:
      return DType::kBF16;
    case WeightFormat::kInt8:
      break;  // of single products, never a model's
  }
  return DType::kF32;
}

// Calls linear(Linear&) and norm(NormWeights&) for every one of the model.
template <class Weights, class OnLinear, class OnNorm>
void for_each_weight(Weights& weights, OnLinear&& linear, OnNorm&& norm) {
  linear(weights.project_in);
  norm(weights.embedding_norm);
  for (auto& layer : weights.layers) {
    for (auto& branch : layer.branches) {
      for (auto* slot : {&branch.in, &branch.q_norm, &branch.k_norm, &branch.out, &branch.sum}) {
        norm(*slot);
      }
      linear(branch.first);
      linear(branch.second);
      linear(branch.router);
      auto& latent = branch.latent;
      for (auto* slot : {&latent.query_down, &latent.query, &latent.query_rope, &latent.latent,
                         &latent.key_rope, &latent.absorb, &latent.expand}) {
        linear(*slot);
      }
      norm(latent.query_norm);
      norm(latent.norm);
    }
  }
  norm(weights.final_norm);
  linear(weights.project_out);
  linear(weights.head);
}

// The shapes of all weights, without memory. dynamic_int8: in 8 bits are the products of attention
// and MLPs, experts' too, and the head. Not the router of experts and attention over a latent or in
// chunks, whose rows are cut between product and product.
ModelWeights lay_out(const TransformerSpec& spec, Quantization quantize = Quantization::kNone);

// Memory for every weight, zeroed. Errors: kOutOfMemory, before anything is allocated where it is
// more than the device has.
void allocate(ModelWeights& weights, const TransformerSpec& spec, WeightFormat format,
              const KernelTable& kernels, Device& device);

// What was written where the host writes goes to the device.
void commit(ModelWeights& weights);

// Bytes that allocate() takes.
int64_t weight_bytes(const ModelWeights& weights, const TransformerSpec& spec, WeightFormat format,
                     const KernelTable& kernels);

// What tokens' rows of `type` are multiplied with.
float embedding_scale(const EmbeddingSpec& spec, DType type);

// Parallel branches leave one sum, to which the last one's bias is added: moves theirs there.
void join_parallel_biases(ModelWeights& weights, const TransformerSpec& spec);

}  // namespace tensormill
