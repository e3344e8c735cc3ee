// The residual stream: adding a branch and norming for the next readers. One row, one thread.

#include "kernels/cpu/int8.h"
#include "kernels/cpu/level.h"
#include "kernels/cpu/norm.h"
#include "kernels/cpu/simd.h"

namespace tensormill {
namespace {

// carry * r + branch * out(sum of partials + bias) of one row.
class Sum {
 public:
  Sum(const ResidualArgs& args, int64_t row) : args_(args), at_(row * args.width) {
    if (norms()) {
      moment_ = moments(args.out, args.width, [this](int i, int n) { return branch(i, n); });
    }
  }

  // Values [i, i + n), then zeros.
  F operator()(int i, int n) const {
    const F s = norms() ? normed(args_.out, moment_, branch(i, n), i, n) : branch(i, n);
    return fma(set1(args_.branch), s, set1(args_.carry) * load_some(args_.residual + at_ + i, n));
  }

 private:
  bool norms() const { return args_.out.kind != NormKind::kNone; }
  F branch(int i, int n) const {
    F s = load_some(args_.partial[0] + at_ + i, n);
    for (int p = 1; p < args_.partials; ++p) s = s + load_some(args_.partial[p] + at_ + i, n);
    return args_.bias == nullptr ? s : s + load_some(args_.bias + i, n);
  }

  const ResidualArgs& args_;
  const int64_t at_;
  Moments moment_{0, 1};
};

// y = in(get), in each form that is wanted, and r = y with keep_y. Piece by piece, so that a
// group's values are still at hand when its scale is known.
template <class Out, class Get>
void norm_row(const ResidualArgs& args, int64_t row, Get&& get) {
  float* residual = args.residual + row * args.width;
  Out* y = args.y.x == nullptr ? nullptr : static_cast<Out*>(args.y.x) + row * args.y.stride;
  Int8Group* q = args.y.q == nullptr ? nullptr : args.y.q + row * group_count(args.width);
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

template <class Out>
void run_row(const ResidualArgs& args, int64_t row) {
  const int64_t from = args.take == nullptr ? row : args.take[row];
  float* residual = args.residual + from * args.width;
  if (args.take != nullptr && args.partials > 0) {
    return norm_row<Out>(args, row, Sum(args, from));
  }
  if (args.partials > 0) {
    const Sum sum(args, row);
    for_vectors(args.width, [&](int i, int n) { store_some(residual + i, sum(i, n), n); });
  }
  if (args.y.x == nullptr && args.y.q == nullptr && !args.keep_y) return;
  norm_row<Out>(args, row, [&](int i, int n) { return load_some(residual + i, n); });
}

}  // namespace

void LEVEL(residual)(const ResidualArgs& args, int32_t row_begin, int32_t row_end) {
  with_type(args.y.type, [&](auto* type) {
    for (int64_t row = row_begin; row < row_end; ++row) run_row<Pointee<decltype(type)>>(args, row);
  });
}

}  // namespace tensormill
