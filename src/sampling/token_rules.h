#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tensormill {

// Tokens that may not come, or must, with the meaning that transformers' generate gives them.
struct TokenRules {
  std::vector<std::vector<int32_t>> bad_words;  // the last token of each may not follow the others
  std::vector<int32_t> suppressed;              // never; ids outside of the vocabulary don't matter
  std::vector<int32_t> begin_suppressed;        // not as the first token of the output
  std::vector<int32_t> second;                  // one of them after a prompt of one token
  std::vector<int32_t> last;                    // one of them where the output reaches its limit

  bool empty() const {
    return bad_words.empty() && suppressed.empty() && begin_suppressed.empty() && second.empty() &&
           last.empty();
  }
};

// Whether begin_suppressed counts for the token that makes a text of `length` tokens longer. A
// second token that is forced is none that could be suppressed.
bool begins(const TokenRules& rules, size_t length, size_t prompt);

// The tokens one of which must follow `length` tokens; none: any may. `limit`: the most tokens of
// the text, its prompt included.
std::span<const int32_t> forced(const TokenRules& rules, size_t length, size_t limit);

// Bans what ends a bad word in logits that follow `tokens`.
void ban_bad_words(std::span<float> logits, std::span<const int32_t> tokens,
                   const TokenRules& rules);

// Nothing but `tokens` can be chosen then, each as likely as the other.
void force(std::span<float> logits, std::span<const int32_t> tokens);

// Errors: kBadRequest naming the rule and the id, for a bad word that is empty and for ids outside
// of the vocabulary (where they matter).
void validate(const TokenRules& rules, int32_t vocabulary);

}  // namespace tensormill
