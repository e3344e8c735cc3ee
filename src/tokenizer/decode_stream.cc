#include "tokenizer/decode_stream.h"

namespace tensormill {

DecodeStream::DecodeStream(const Tokenizer& tokenizer, bool skip_special)
    : decoder_(tokenizer.start_decoding(skip_special)) {}

std::string DecodeStream::step(int32_t id) {
  std::string text;
  decoder_->push(id, text);
  return text;
}

std::string DecodeStream::finish() {
  std::string text;
  decoder_->finish(text);
  return text;
}

}  // namespace tensormill
