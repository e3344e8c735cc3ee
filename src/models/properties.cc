#include "models/properties.h"

#include <algorithm>
#include <utility>

namespace tensormill {
namespace {

// Collects names, each once, in the order in which they are asked for.
class Properties {
 public:
  void note(bool holds, const char* name) {
    if (holds && std::find(names_.begin(), names_.end(), name) == names_.end()) {
      names_.emplace_back(name);
    }
  }
  std::vector<std::string> take() { return std::move(names_); }

 private:
  std::vector<std::string> names_;
};

const char* scaling_name(RopeScaling scaling) {
  switch (scaling) {
    case RopeScaling::kNone:
      break;
    case RopeScaling::kLinear:
      return "rope scaling linear";
    case RopeScaling::kDynamic:
      return "rope scaling dynamic";
    case RopeScaling::kPowers:
      return "rope scaling by powers of two";
    case RopeScaling::kLlama3:
      return "rope scaling llama3";
    case RopeScaling::kYarn:
      return "rope scaling yarn";
    case RopeScaling::kLong:
      return "rope scaling longrope";
  }
  return "";
}

void note_embedding(const TransformerSpec& spec, const StackSpec& stack, Properties& p) {
  const EmbeddingSpec& embedding = stack.embedding;
  const bool table = embedding.position_rows > 0;
  p.note(table && embedding.table == PositionTable::kLearned, "learned positions");
  p.note(table && embedding.table == PositionTable::kSinusoidal, "sinusoidal positions");
  p.note(table && embedding.table == PositionTable::kAxial, "axial positions");
  p.note(table && embedding.position_offset != 0, "positions with an offset");
  p.note(spec.axes > 1, "positions on two axes");
  p.note(spec.blanks.fills(), "blanks to fill");
  p.note(embedding.scale != 1, "scaled embedding");
  p.note(embedding.norm.kind != NormKind::kNone, "norm after the embedding");
  p.note(embedding.width > 0, "embedding of its own width");
  p.note(stack.streams > 1, "two residual streams");
}

void note_norm(const NormSpec& norm, Properties& p) {
  p.note(norm.kind == NormKind::kLayer && norm.shift, "LayerNorm");
  p.note(norm.kind == NormKind::kLayer && !norm.shift, "LayerNorm without bias");
  p.note(norm.kind == NormKind::kRms, "RMSNorm");
  p.note(norm.kind != NormKind::kNone && !norm.weight, "norm without weights");
  p.note(norm.one_plus, "norm that stores weight - 1");
}

void note_branch(const BranchSpec& branch, Properties& p) {
  for (const NormSpec* norm : {&branch.in, &branch.out, &branch.sum}) note_norm(*norm, p);
  p.note(branch.out.kind != NormKind::kNone, "norm after branches");
  p.note(branch.sum.kind != NormKind::kNone, "norm of the sum");
  p.note(branch.keep_in, "residual goes on from the norm");
  p.note(branch.with_next, "parallel branches");
  p.note(branch.shares_in, "one norm for parallel branches");
  p.note(branch.carry != 1 || branch.scale != 1, "residual multipliers");
}

void note_rope(const RopeSpec& rope, int32_t dim, Properties& p) {
  if (rope.dim == 0) return;
  p.note(true, "rotary positions");
  p.note(rope.dim * rope.axes < dim, "partial rotary");
  p.note(rope.neighbours, "rotary pairs side by side");
  p.note(rope.scaling != RopeScaling::kNone, scaling_name(rope.scaling));
}

void note_attention(const AttentionSpec& a, Properties& p) {
  p.note(a.core == Core::kLocal, "local attention in chunks");
  p.note(a.core == Core::kHashed, "hashed attention");
  const bool latent = a.latent.rank > 0;
  p.note(latent, "latent attention");
  p.note(a.latent.query_rank > 0, "queries of low rank");
  p.note(a.kv_heads == 1 && a.heads > 1 && !latent, "multi-query");
  p.note(a.kv_heads > 1 && a.kv_heads < a.heads, "grouped heads");
  p.note(a.values() != a.dim && !latent, "values of their own width");
  p.note(a.qkv_bias, "query, key and value biases");
  p.note(a.out_bias, "output bias");
  note_rope(a.rope, a.dim, p);
  p.note(!a.bias.slopes.empty(), "ALiBi");
  p.note(a.bias.bf16, "ALiBi rounded to bf16");
  p.note(a.mask.window > 0, "window");
  p.note(a.mask.prefix, "prefix mask");
  p.note(a.scale == 1, "unscaled scores");
  p.note(a.softcap > 0, "soft cap of scores");
  p.note(a.clip > 0, "clipped queries, keys and values");
  const bool normed = a.q_norm.kind != NormKind::kNone || a.k_norm.kind != NormKind::kNone;
  p.note(normed && a.norm_span == HeadNorm::kHead, "query and key norm of a head");
  p.note(normed && a.norm_span == HeadNorm::kEachHead, "query and key norm, one for each head");
  p.note(normed && a.norm_span == HeadNorm::kAllHeads, "query and key norm over all heads");
  p.note(a.log_n > 0, "log-n scaling");
}

void note_mlp(const MlpSpec& mlp, Properties& p) {
  p.note(mlp.gated, "gated MLP");
  p.note(mlp.bias, "MLP biases");
  const ExpertsSpec& experts = mlp.experts;
  p.note(experts.count > 1, "experts");
  p.note(experts.count == 1, "gated shared expert");
  p.note(experts.groups > 1, "groups of experts");
  p.note(experts.bias, "bias in the choice of experts");
  p.note(experts.count > 1 && experts.score == ExpertScore::kSigmoid, "experts by sigmoid");
  p.note(experts.normalize, "weights of experts sum to 1");
  p.note(experts.scale != 1, "weights of experts scaled");
}

void note_head(const TransformerSpec& spec, Properties& p) {
  p.note(spec.head.tied, "tied head");
  p.note(spec.head.bias, "head bias");
  p.note(spec.head.scale != 1, "scaled logits");
  p.note(spec.head.softcap > 0, "soft cap of logits");
  p.note(spec.head.unit_rows, "head of unit rows");
}

}  // namespace

std::vector<std::string> properties(const TransformerSpec& spec) {
  Properties p;
  for (const StackSpec& stack : spec.stacks) {
    note_embedding(spec, stack, p);
    for (const LayerRef& layer : stack.layers) {
      for (const BranchSpec& branch : stack.kinds[layer.kind]) {
        note_branch(branch, p);
        if (const auto* attention = std::get_if<AttentionSpec>(&branch.body)) {
          note_attention(*attention, p);
        } else {
          note_mlp(std::get<MlpSpec>(branch.body), p);
        }
      }
    }
    p.note(stack.kinds.size() > 1, "layers of several kinds");
    p.note(stack.final_norm.kind == NormKind::kNone, "no final norm");
  }
  note_head(spec, p);
  return p.take();
}

}  // namespace tensormill
