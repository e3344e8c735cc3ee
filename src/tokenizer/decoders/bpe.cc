#include <algorithm>

#include "tokenizer/clean_up.h"
#include "tokenizer/decoders/decoder.h"

namespace tensormill {
namespace {

// The suffix of a word's last token becomes a space, in the last token of all nothing. So a token
// waits for the next one from its suffix on.
class BpeStep : public WholeTokenStep {
 public:
  explicit BpeStep(const std::string& suffix) : suffix_(&suffix) {}

  void finish() override {
    release("");
    next().finish();
  }

 protected:
  void on_token(const std::string& token) override {
    release(" ");
    const size_t certain = std::min(token.find(*suffix_), token.size());
    next().feed(std::string_view(token).substr(0, certain));
    held_ = token.substr(certain);
    pending_ = true;
  }

 private:
  void release(std::string_view replacement) {
    if (!pending_) return;
    if (!held_.empty() || suffix_->empty()) next().feed(replace_all(held_, *suffix_, replacement));
    next().end_token();
    pending_ = false;
  }

  const std::string* suffix_;
  std::string held_;
  bool pending_ = false;
};

class BpeDecoder : public Decoder {
 public:
  explicit BpeDecoder(const JsonNode& node) : suffix_(node.at("suffix").text()) {}
  void add_steps(DecodeSteps& steps) const override {
    steps.push_back(std::make_unique<BpeStep>(suffix_));
  }

 private:
  std::string suffix_;
};

}  // namespace

std::unique_ptr<Decoder> make_bpe_decoder(const JsonNode& node) {
  return std::make_unique<BpeDecoder>(node);
}

}  // namespace tensormill
