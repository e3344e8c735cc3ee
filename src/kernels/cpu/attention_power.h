#pragma once

// A row's scores as powers of two below one, where what follows is coarser than f32.

#include "kernels/cpu/attention_pair.h"
#include "kernels/cpu/simd.h"

namespace tensormill {
namespace {

constexpr int kPairRow = 2 * kLanes;  // places that are looked at together

// 2^x for x <= 0, good to 8e-5 of it, which neither bf16 nor a cache in 8 bits shows; NaN for NaN.
[[gnu::always_inline]] inline F power_below(F x) {
  const F f = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);  // from 0 to 1
  F p = set1(7.80245513e-2f);
  p = fma(p, f, set1(2.26067185e-1f));
  p = fma(p, f, set1(6.95833504e-1f));
  p = fma(p, f, set1(9.99925256e-1f));
  return _mm512_scalef_ps(p, x);
}

// A row's scores with all that isn't a product, kNever where the pair doesn't see.
inline F finish_scores(const Score& score, const Pair& pair, float* scores, int start, Range own,
                       Range at) {
  const Terms terms = terms_of(score, pair);
  F top = set1(kNever);
  for (int i = at.begin; i < at.end; i += kLanes) {
    const int place = start + i;
    F x = score_of(terms, load(scores + i), place);
    x = select(lanes_between(own.begin - place, own.end - place), x, set1(kNever));
    store(scores + i, x);
    top = max(x, top);
  }
  return pair.hole.begin < pair.hole.end ? mask_hole(pair.hole, scores, start, at) : top;
}

// The same where scores are products that are scaled later; only vectors at the edges change.
inline F mask_scores(float* scores, int start, Range own, Range at) {
  F top = set1(kNever), other = top;
  for (int i = at.begin; i < at.end; i += kPairRow) {
    const int place = start + i;
    F x = load(scores + i), y = load(scores + i + kLanes);
    if (place < own.begin || place + kPairRow > own.end) {
      const int begin = own.begin - place, end = own.end - place;
      x = select(lanes_between(begin, end), x, set1(kNever));
      y = select(lanes_between(begin - kLanes, end - kLanes), y, set1(kNever));
      store(scores + i, x);
      store(scores + i + kLanes, y);
    }
    top = max(x, top);
    other = max(y, other);
  }
  return max(top, other);
}

// weight = 2^(score * factor + shift).
struct Powers {
  F factor, shift;
  float maximum;  // of the scores
};

// Prepares a row's scores of the places `at` of a chunk, whole blocks; the pair sees `own`, not
// empty.
inline Powers powers_of(const Score& score, const Pair& pair, float* scores, int start, Range own,
                        Range at) {
  const bool plain = score.softcap == 0 && score.slopes == nullptr && score.scale > 0 &&
                     pair.hole.begin >= pair.hole.end;
  const F top = plain ? mask_scores(scores, start, own, at)
                      : finish_scores(score, pair, scores, start, own, at);
  const float peak = reduce_max(top), unit = plain ? score.scale : 1.0f;
  const float to_power = unit * 1.44269504f;
  return {set1(to_power), set1(-peak * to_power), peak * unit};
}
[[gnu::always_inline]] inline F power_of(const Powers& powers, F score) {
  return power_below(fma(score, powers.factor, powers.shift));
}

}  // namespace
}  // namespace tensormill
