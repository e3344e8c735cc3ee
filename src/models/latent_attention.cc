#include "models/latent_attention.h"

#include <array>

#include "ops/linear.h"
#include "ops/residual.h"

namespace tensormill {
namespace {

class Products {
 public:
  Products(const StepContext& step, const AttentionSpec& spec, const LatentWeights& weights)
      : step_(step),
        ws_(step.arrays),
        spec_(spec),
        weights_(weights),
        rope_(spec.rope.dim),
        stride_(spec.qkv_rows()),
        keys_(ws_.qkv + int64_t{spec.query_rows()}) {}

  void run(const ResidualArgs& norm) {
    const Rows& in = norm.y;
    const Rows latent{ws_.latent, DType::kF32, spec_.latent.rank};
    const LinearArgs to_latent = weights_.latent.args(in, latent, step_.rows);
    const LinearArgs to_key = weights_.key_rope.args(in, {keys_, DType::kF32, stride_}, step_.rows);
    const int32_t query_rank = spec_.latent.query_rank;
    if (query_rank == 0) {
      const std::array all{to_latent, to_key, plain_queries(in), turned_queries(in)};
      norm_linear(step_.kernels, norm, all, step_.stream);
    } else {
      const Rows down{ws_.query_short, DType::kF32, query_rank};
      const std::array first{to_latent, to_key, weights_.query_down.args(in, down, step_.rows)};
      norm_linear(step_.kernels, norm, first, step_.stream);
      const Rows normed{ws_.query_normed, in.type, query_rank};
      const std::array second{plain_queries(normed), turned_queries(normed)};
      norm_linear(step_.kernels,
                  normed_rows(weights_.query_norm, ws_.query_short, normed, query_rank), second,
                  step_.stream);
    }
    // The normed latent stands in the keys and is the values.
    for (float* to : {keys_ + rope_, keys_ + spec_.dim}) {
      residual(step_.kernels,
               normed_rows(weights_.norm, ws_.latent, {to, DType::kF32, stride_}, latent.stride),
               step_.stream);
    }
    absorb(in.type);
  }

 private:
  Rows plain(DType type) const { return {ws_.plain, type, spec_.heads * spec_.latent.plain}; }

  LinearArgs plain_queries(const Rows& in) const {
    LinearArgs args = weights_.query.args(in, plain(in.type), step_.rows);
    args.out_step = spec_.latent.plain;
    return args;
  }

  LinearArgs turned_queries(const Rows& in) const {
    LinearArgs args = weights_.query_rope.args(in, {ws_.qkv, DType::kF32, stride_}, step_.rows);
    args.out_step = spec_.dim;
    return args;
  }

  void absorb(DType type) const {
    LinearArgs args =
        weights_.absorb.args(plain(type), {ws_.qkv + rope_, DType::kF32, stride_}, step_.rows);
    args.in_step = spec_.latent.plain;
    args.out_step = spec_.dim;
    linear(step_.kernels, args, step_.stream);
  }

  ResidualArgs normed_rows(const NormWeights& norm, float* from, const Rows& to,
                           int64_t width) const {
    ResidualArgs args{};
    args.in = norm.norm();
    args.residual = from;
    args.y = to;
    args.width = static_cast<int32_t>(width);
    args.live = step_.rows;
    return args;
  }

  const StepContext& step_;
  const Workspace::Arrays& ws_;
  const AttentionSpec& spec_;
  const LatentWeights& weights_;
  int32_t rope_, stride_;
  float* keys_;
};

}  // namespace

void run_latent_products(const StepContext& step, const AttentionSpec& spec,
                         const LatentWeights& weights, const ResidualArgs& norm) {
  Products(step, spec, weights).run(norm);
}

Rows expand_latent(const StepContext& step, const AttentionSpec& spec, const LatentWeights& weights,
                   const Rows& attended) {
  const Rows out{step.arrays.expanded, attended.type, spec.out_inputs()};
  LinearArgs args = weights.expand.args(attended, out, step.rows);
  args.in_step = spec.latent.rank;
  args.out_step = spec.latent.values;
  linear(step.kernels, args, step.stream);
  return out;
}

}  // namespace tensormill
