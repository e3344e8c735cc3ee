#include "cli/bench_prompts.h"

#include <algorithm>
#include <utility>

#include "artifacts/model_folder.h"
#include "base/error.h"
#include "models/describe.h"

namespace tensormill {
namespace {

std::unique_ptr<Tokenizer> tokenizer_of(const std::string& folder) {
  try {
    return load_tokenizer(find_model_parts(folder).tokenizer);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kNotFound) throw;
    return byte_tokenizer(describe_model(folder).info.vocabulary);
  }
}

}  // namespace

BenchPrompts::BenchPrompts(const std::string& folder, int32_t shared, uint32_t seed)
    : tokenizer_(tokenizer_of(folder)), random_(seed != 0 ? seed : std::random_device{}()) {
  if (shared > 0) shared_ = grown("", static_cast<size_t>(shared));
}

std::string BenchPrompts::next(int32_t tokens) {
  std::string text = grown(shared_, static_cast<size_t>(tokens));
  sum_ += static_cast<double>(count(text));
  ++made_;
  return text;
}

// A word is about three tokens: most of the text is made before it is counted again.
std::string BenchPrompts::grown(std::string text, size_t tokens) {
  constexpr size_t kTokensOfAWord = 4, kLetters = 5;
  const size_t begin = text.size();
  for (size_t now = count(text); now < tokens || text.size() == begin; now = count(text)) {
    const size_t words = now < tokens ? (tokens - now) / kTokensOfAWord : 0;
    for (size_t i = 0; i < std::max<size_t>(1, words); ++i) {
      if (!text.empty()) text += ' ';
      for (size_t j = 0; j < kLetters; ++j) text += static_cast<char>('a' + letter_(random_));
    }
  }
  while (text.size() > begin + 1 && count(text.substr(0, text.size() - 1)) >= tokens) {
    text.pop_back();
  }
  return text;
}

}  // namespace tensormill
