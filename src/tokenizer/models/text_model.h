#pragma once

#include <string>
#include <vector>

#include "tokenizer/models/model.h"
#include "tokenizer/models/word_cache.h"

namespace tensormill {

// A model that reads text only: the characters of the byte alphabet are written out for it, and
// pieces seen before come from a cache.
class TextModel : public TokenModel {
 public:
  std::unique_ptr<ModelScratch> make_scratch() const override;
  void tokenize(std::string_view piece, bool byte_level, ModelScratch& scratch,
                std::vector<ModelToken>& out) const final;

 protected:
  struct Scratch : ModelScratch {
    WordCache cache;
    std::string mapped;
    std::vector<ModelToken> tokens;
  };
  // Appends the tokens of a text that isn't empty. Lengths end on code points.
  virtual void tokenize_text(std::string_view text, Scratch& scratch,
                             std::vector<ModelToken>& out) const = 0;
};

// Text that there is no token for, where nothing stands for such text. kBadRequest.
[[noreturn]] void fail_unknown(std::string_view text, std::string_view why);

}  // namespace tensormill
