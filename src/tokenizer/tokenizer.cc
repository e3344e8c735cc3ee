#include "tokenizer/tokenizer.h"

#include "base/error.h"

namespace tensormill {
namespace {

class TokenByToken : public IncrementalDecoder {
 public:
  TokenByToken(const Tokenizer& tokenizer, bool skip_special)
      : tokenizer_(tokenizer), skip_special_(skip_special) {}

  void push(int32_t id, std::string& out) override {
    if (id < 0 || id >= tokenizer_.vocabulary_size()) return;
    out.append(tokenizer_.decode(std::span(&id, 1), skip_special_));
  }
  void finish(std::string&) override {}

 private:
  const Tokenizer& tokenizer_;
  bool skip_special_;
};

}  // namespace

std::unique_ptr<IncrementalDecoder> Tokenizer::start_decoding(bool skip_special) const {
  return std::make_unique<TokenByToken>(*this, skip_special);
}

std::string Tokenizer::decode_as_stream(std::span<const int32_t> ids, bool skip_special) const {
  std::string out;
  const auto stream = start_decoding(skip_special);
  for (const int32_t id : ids) {
    if (id < 0 || id >= vocabulary_size()) {
      throw_error(ErrorKind::kBadRequest, "token id {} is not in the vocabulary of {}", id,
                  vocabulary_size());
    }
    stream->push(id, out);
  }
  stream->finish(out);
  return out;
}

}  // namespace tensormill
