#include "models/experts.h"

#include "ops/experts.h"
#include "ops/route.h"

namespace tensormill {

void run_experts(const StepContext& step, const MlpSpec& spec, const BranchWeights& weights,
                 const Rows& in, const float* before, float* out) {
  const Workspace::Arrays& ws = step.arrays;
  const ExpertsSpec& experts = spec.experts;
  RouteArgs routing{};
  routing.logits = ws.router;
  routing.bias = weights.router.bias();
  routing.score = experts.score;
  routing.experts = experts.count;
  routing.active = experts.active;
  routing.groups = experts.groups;
  routing.active_groups = experts.active_groups;
  routing.group_best = experts.group_best;
  routing.normalize = experts.normalize;
  routing.scale = experts.scale;
  routing.routes = ws.routes;
  routing.live = step.rows;
  route(step.kernels, routing, step.stream);

  ExpertsArgs args{};
  args.first = weights.first.packed();
  args.second = weights.second.packed();
  args.act = spec.activation;
  args.gated = spec.gated;
  args.experts = experts.count;
  args.active = experts.active;
  args.routes = ws.routes;
  args.in = in;
  args.addend = before;
  args.out = out;
  args.taken = {ws.taken, in.type, args.first.inner, ws.taken_q};
  args.inner = {ws.expert_inner, ws.taken_q == nullptr ? in.type : DType::kF32, spec.width,
                ws.expert_inner_q};
  args.value = ws.expert_value;
  args.live = step.rows;
  tensormill::experts(step.kernels, args, step.stream);
}

}  // namespace tensormill
