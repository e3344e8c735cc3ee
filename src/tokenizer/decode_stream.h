#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "tokenizer/tokenizer.h"

namespace tensormill {

// Turns tokens into text one by one. The pieces joined are exactly Tokenizer::decode of all tokens;
// a piece never ends inside a code point: bytes wait until they are complete.
class DecodeStream {
 public:
  explicit DecodeStream(const Tokenizer& tokenizer, bool skip_special = true);

  std::string step(int32_t id);  // text that became certain, may be empty
  std::string finish();          // what is left; incomplete bytes become U+FFFD

 private:
  std::unique_ptr<IncrementalDecoder> decoder_;
};

}  // namespace tensormill
