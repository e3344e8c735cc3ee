#include "sampling/token_rules.h"

#include <algorithm>
#include <limits>

#include "base/error.h"

namespace tensormill {
namespace {

constexpr float kBanned = -std::numeric_limits<float>::infinity();

void check(const std::vector<int32_t>& ids, const char* rule, int32_t vocabulary) {
  for (const int32_t id : ids) {
    if (id >= 0 && id < vocabulary) continue;
    throw_error(ErrorKind::kBadRequest, "{}: {} is not in the model's vocabulary of {}", rule, id,
                vocabulary);
  }
}

}  // namespace

bool begins(const TokenRules& rules, size_t length, size_t prompt) {
  return length == prompt + (prompt == 1 && !rules.second.empty() ? 1 : 0);
}

std::span<const int32_t> forced(const TokenRules& rules, size_t length, size_t limit) {
  if (!rules.last.empty() && length + 1 == limit) return rules.last;
  if (length == 1) return rules.second;
  return {};
}

void ban_bad_words(std::span<float> logits, std::span<const int32_t> tokens,
                   const TokenRules& rules) {
  for (const std::vector<int32_t>& word : rules.bad_words) {
    const size_t before = word.size() - 1;
    // A word that is longer than the text is passed over, though all but its last token may stand
    // there: as transformers has it.
    if (before > 0 && word.size() > tokens.size()) continue;
    const auto end = tokens.last(before);
    if (std::equal(end.begin(), end.end(), word.begin())) {
      logits[static_cast<size_t>(word.back())] = kBanned;
    }
  }
}

void force(std::span<float> logits, std::span<const int32_t> tokens) {
  std::fill(logits.begin(), logits.end(), kBanned);
  for (const int32_t token : tokens) logits[static_cast<size_t>(token)] = 0;
}

void validate(const TokenRules& rules, int32_t vocabulary) {
  for (const std::vector<int32_t>& word : rules.bad_words) {
    if (word.empty()) {
      throw Error(ErrorKind::kBadRequest, "bad_words_ids: an empty list, expected token ids");
    }
    check(word, "bad_words_ids", vocabulary);
  }
  check(rules.second, "forced_bos_token_id", vocabulary);
  check(rules.last, "forced_eos_token_id", vocabulary);
}

}  // namespace tensormill
