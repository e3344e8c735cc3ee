#include "sampling/validate.h"

#include <cmath>

#include "base/error.h"

namespace tensormill {
namespace {

void require(bool good, const char* field, double value, const char* expected) {
  if (good) return;
  throw_error(ErrorKind::kBadRequest, "{}: {} is not allowed, expected {}", field, value, expected);
}

bool within(float value, float low, float high) {
  return value >= low && value <= high;
}

}  // namespace

void validate(const SamplingParams& p) {
  // Comparisons are written so that NaN fails them.
  require(p.temperature >= 0 && std::isfinite(p.temperature), "temperature", p.temperature,
          "a finite number of 0 or more");
  require(!p.sample || p.temperature > 0, "temperature", p.temperature,
          "a number above 0 when sampling");
  require(p.top_k >= 0, "top_k", p.top_k, "0 (off) or more");
  require(p.top_p > 0 && p.top_p <= 1, "top_p", p.top_p, "a number above 0 and up to 1");
  require(p.typical_p > 0 && p.typical_p <= 1, "typical_p", p.typical_p,
          "a number above 0 and up to 1");
  require(within(p.min_p, 0, 1), "min_p", p.min_p, "a number from 0 to 1");
  require(p.repetition_penalty > 0 && std::isfinite(p.repetition_penalty), "repetition_penalty",
          p.repetition_penalty, "a finite number above 0");
  require(within(p.presence_penalty, -2, 2), "presence_penalty", p.presence_penalty,
          "a number from -2 to 2");
  require(within(p.frequency_penalty, -2, 2), "frequency_penalty", p.frequency_penalty,
          "a number from -2 to 2");
  require(p.no_repeat_ngram_size >= 0, "no_repeat_ngram_size", p.no_repeat_ngram_size,
          "0 (off) or more");
}

}  // namespace tensormill
