#include "tokenizer/clean_up.h"

#include <span>
#include <utility>

#include "base/utf8.h"

namespace tensormill {
namespace {

using Rule = std::pair<std::string_view, std::string_view>;
// In this order, each over the whole text.
constexpr Rule kRules[] = {
    {" .", "."},     {" ?", "?"},   {" !", "!"},   {" ,", ","},     {" ' ", "'"},
    {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
};
constexpr Rule kTokenRules[] = {
    {" .", "."},   {" ?", "?"},     {" !", "!"},     {" ,", ","},
    {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},   {" do not", " don't"},
    {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
};
// All characters of the rules. No rule reaches over another one, and each starts with a space.
constexpr std::string_view kRuleCharacters = " .?!,'ntmsvre";

// Whether a rule may start somewhere; most pieces of streamed text have no such place.
bool has_start(std::string_view text) {
  constexpr std::string_view kSeconds = ".?!,'nd";
  for (size_t at = text.find(' '); at != std::string_view::npos; at = text.find(' ', at + 1)) {
    if (at + 1 < text.size() && kSeconds.find(text[at + 1]) != std::string_view::npos) return true;
  }
  return false;
}

std::string apply_rules(std::span<const Rule> rules, std::string_view text) {
  std::string result(text);
  if (!has_start(text)) return result;
  for (const auto& [from, to] : rules) {
    if (result.find(from) != std::string::npos) result = replace_all(result, from, to);
  }
  return result;
}

}  // namespace

std::string clean_up_spaces(std::string_view text) {
  return apply_rules(kRules, text);
}

std::string clean_up_token(std::string_view token) {
  return apply_rules(kTokenRules, token);
}

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  size_t done = 0;
  if (from.empty()) {
    result.append(to);
    for (; done < text.size(); result.append(to)) {
      const size_t length = utf8_length(text[done]);
      result.append(text.substr(done, length));
      done += length;
    }
    return result;
  }
  for (size_t at = text.find(from); at != std::string_view::npos; at = text.find(from, done)) {
    result.append(text.substr(done, at - done)).append(to);
    done = at + from.size();
  }
  return result.append(text.substr(done));
}

size_t clean_up_border(std::string_view text) {
  const size_t last_other = text.find_last_not_of(kRuleCharacters);
  const size_t run = last_other == std::string_view::npos ? 0 : last_other + 1;
  const size_t space = text.find(' ', run);
  return space == std::string_view::npos ? text.size() : space;
}

}  // namespace tensormill
