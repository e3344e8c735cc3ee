#include "tokenizer/clean_up.h"

#include <utility>

namespace tensormill {
namespace {

// In this order, each over the whole text.
constexpr std::pair<std::string_view, std::string_view> kRules[] = {
    {" .", "."},     {" ?", "?"},   {" !", "!"},   {" ,", ","},     {" ' ", "'"},
    {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
};
// All characters of the rules. No rule reaches over another one, and each starts with a space.
constexpr std::string_view kRuleCharacters = " .?!,'ntmsvre";

}  // namespace

std::string clean_up_spaces(std::string_view text) {
  std::string result(text);
  for (const auto& [from, to] : kRules) {
    size_t at = result.find(from);
    if (at == std::string::npos) continue;
    std::string replaced;
    size_t done = 0;
    for (; at != std::string::npos; at = result.find(from, done)) {
      replaced.append(result, done, at - done).append(to);
      done = at + from.size();
    }
    replaced.append(result, done);
    result = std::move(replaced);
  }
  return result;
}

size_t clean_up_border(std::string_view text) {
  const size_t last_other = text.find_last_not_of(kRuleCharacters);
  const size_t run = last_other == std::string_view::npos ? 0 : last_other + 1;
  const size_t space = text.find(' ', run);
  return space == std::string_view::npos ? text.size() : space;
}

}  // namespace tensormill
