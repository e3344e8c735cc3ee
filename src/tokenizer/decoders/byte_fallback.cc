#include "base/utf8.h"
#include "tokenizer/decoders/decoder.h"

namespace tensormill {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The byte of a token <0xNN>, -1 when it is none. As the reference reads numbers, "+" may stand in
// place of a first digit.
int byte_of(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
  const int high = token[3] == '+' ? 0 : hex_digit(token[3]), low = hex_digit(token[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

// A run of tokens <0xNN> is one text when its bytes are valid UTF-8, else a U+FFFD for each. So
// nothing of a run is certain before its end.
class ByteFallbackStep : public WholeTokenStep {
 public:
  void finish() override {
    flush();
    next().finish();
  }

 protected:
  void on_token(const std::string& token) override {
    if (const int byte = byte_of(token); byte >= 0) {
      bytes_.push_back(static_cast<char>(byte));
      return;
    }
    flush();
    next().feed(token);
    next().end_token();
  }

 private:
  void flush() {
    if (bytes_.empty()) return;
    if (find_invalid_utf8(bytes_) == std::string::npos) {
      next().feed(bytes_);
      next().end_token();
    } else {
      for (size_t i = 0; i < bytes_.size(); ++i) {
        next().feed("\ufffd");
        next().end_token();
      }
    }
    bytes_.clear();
  }

  std::string bytes_;
};

class ByteFallback : public Decoder {
 public:
  void add_steps(DecodeSteps& steps) const override {
    steps.push_back(std::make_unique<ByteFallbackStep>());
  }
};

}  // namespace

std::unique_ptr<Decoder> make_byte_fallback(const JsonNode&) {
  return std::make_unique<ByteFallback>();
}

}  // namespace tensormill
