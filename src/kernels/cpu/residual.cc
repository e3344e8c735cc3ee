// The residual stream: adding a branch and norming for the next readers. One row, one thread.

#include "kernels/cpu/int8.h"
#include "kernels/cpu/level.h"
#include "kernels/cpu/norm.h"
#include "kernels/cpu/simd.h"

namespace tensormill {
namespace {

// r = carry * r + branch * out(sum of partials + bias)
void add_branch(const ResidualArgs& args, int64_t row) {
  const int64_t at = row * args.width;
  float* residual = args.residual + at;
  const auto branch = [&](int i, int n) {
    F s = load_some(args.partial[0] + at + i, n);
    for (int p = 1; p < args.partials; ++p) s = s + load_some(args.partial[p] + at + i, n);
    return args.bias == nullptr ? s : s + load_some(args.bias + i, n);
  };
  const F carry = set1(args.carry), scale = set1(args.branch);
  const auto add = [&](int i, int n, F s) {
    store_some(residual + i, fma(scale, s, carry * load_some(residual + i, n)), n);
  };
  if (args.out.kind == NormKind::kNone) {
    for_vectors(args.width, [&](int i, int n) { add(i, n, branch(i, n)); });
    return;
  }
  const Moments moment = moments(args.out, args.width, branch);
  for_vectors(args.width,
              [&](int i, int n) { add(i, n, normed(args.out, moment, branch(i, n), i, n)); });
}

// y = in(r), in each form that is wanted, and r = y with keep_y. Piece by piece, so that a group's
// values are still at hand when its scale is known.
template <class Out>
void norm_row(const ResidualArgs& args, int64_t row) {
  float* residual = args.residual + row * args.width;
  Out* y = args.y.x == nullptr ? nullptr : static_cast<Out*>(args.y.x) + row * args.y.stride;
  Int8Group* q = args.y.q == nullptr ? nullptr : args.y.q + row * group_count(args.width);
  const auto get = [&](int i, int n) { return load_some(residual + i, n); };
  const bool norms = args.in.kind != NormKind::kNone;
  const Moments moment = norms ? moments(args.in, args.width, get) : Moments{0, 1};
  const auto put = [&](int i, int n) {
    const F r = get(i, n);
    const F value = norms ? normed(args.in, moment, r, i, n) : r;
    if (y != nullptr) store_some(y + i, value, n);
    if (args.keep_y) store_some(residual + i, value, n);
    return value;
  };
  if (q == nullptr) return for_vectors(args.width, [&](int i, int n) { put(i, n); });
  alignas(64) float piece[kInt8Group];
  for (int begin = 0; begin < args.width; begin += kInt8Group, ++q) {
    const int left = args.width - begin, count = left < kInt8Group ? left : kInt8Group;
    for_vectors(count, [&](int i, int n) { store_some(piece + i, put(begin + i, n), n); });
    quantize_group(piece, count, *q);
  }
}

}  // namespace

void LEVEL(residual)(const ResidualArgs& args, int32_t row_begin, int32_t row_end) {
  for (int64_t row = row_begin; row < row_end; ++row) {
    if (args.partials > 0) add_branch(args, row);
    if (args.y.x == nullptr && args.y.q == nullptr && !args.keep_y) continue;
    with_type(args.y.type, [&](auto* type) { norm_row<Pointee<decltype(type)>>(args, row); });
  }
}

}  // namespace tensormill
