// A SentencePiece model, an end of line, and a text that its processor cuts and joins again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/slow/sentencepiece.h"

namespace tensormill {
namespace {

class Sink : public DecodeStep {
 public:
  void feed(std::string_view text) override { text_.append(text); }
  void end_token() override {}
  void finish() override {
    if (find_invalid_utf8(text_) != std::string::npos) std::abort();
  }

 private:
  std::string text_;
};

void run(std::string_view data) {
  const size_t cut = data.rfind('\n');
  const std::string_view bytes = data.substr(0, cut);
  const std::string_view rest = cut == data.npos ? "a b" : data.substr(cut + 1);
  const std::string text = replace_invalid_utf8(rest);
  const SentencePiece model(parse_sentencepiece(bytes, "fuzz"), "fuzz");
  const auto decoder = model.make_decoder();
  Sink sink;
  decoder->set_next(&sink);
  for (const std::string& piece : model.encode(text)) {
    const int32_t id = model.id_of(piece);
    if (id < 0 || id >= model.size()) std::abort();
    decoder->feed(piece);
    decoder->end_token();
  }
  decoder->finish();
}

}  // namespace
}  // namespace tensormill

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    tensormill::run({reinterpret_cast<const char*>(data), size});
  } catch (const tensormill::Error&) {
    return 0;
  }
  return 0;
}
