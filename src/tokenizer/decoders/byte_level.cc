#include "base/utf8.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/decoders/decoder.h"

namespace tensormill {
namespace {

class ByteLevelStep : public WholeTokenStep {
 public:
  void finish() override {
    next().feed(replace_invalid_utf8(bytes_));
    next().end_token();
    next().finish();
    bytes_.clear();
  }

 protected:
  void on_token(const std::string& token) override {
    if (!append_bytes_of(token, bytes_)) bytes_.append(token);
    const size_t tail = incomplete_utf8_tail(bytes_);
    if (tail == bytes_.size()) return;
    const std::string_view certain = std::string_view(bytes_).substr(0, bytes_.size() - tail);
    next().feed(replace_invalid_utf8(certain));
    bytes_.erase(0, certain.size());
  }

 private:
  std::string bytes_;  // of a code point whose rest is to come
};

class ByteLevel : public Decoder {
 public:
  void add_steps(DecodeSteps& steps) const override {
    steps.push_back(std::make_unique<ByteLevelStep>());
  }
};

}  // namespace

std::unique_ptr<Decoder> make_byte_level_decoder(const JsonNode&) {
  return std::make_unique<ByteLevel>();
}

}  // namespace tensormill
