#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>

#include "tokenizer/tokenizer.h"

namespace tensormill {

// Texts of as many tokens as asked, for a server to be measured with: random letters, of which no
// two share a beginning but the one that all were given.
class BenchPrompts {
 public:
  // `folder`: a model's, whose tokenizer counts; bytes are tokens where it has none. `shared`:
  // tokens that all prompts begin with. `seed`: 0 for another one each time.
  BenchPrompts(const std::string& folder, int32_t shared, uint32_t seed);

  // As many tokens as asked, or a few more where the shared ones are.
  std::string next(int32_t tokens);
  double mean_tokens() const { return made_ > 0 ? sum_ / static_cast<double>(made_) : 0; }

 private:
  size_t count(const std::string& text) const { return tokenizer_->encode(text).ids.size(); }
  std::string grown(std::string text, size_t tokens);

  std::unique_ptr<Tokenizer> tokenizer_;
  std::mt19937 random_;
  std::uniform_int_distribution<int> letter_{0, 25};
  std::string shared_;
  double sum_ = 0;
  int64_t made_ = 0;
};

}  // namespace tensormill
