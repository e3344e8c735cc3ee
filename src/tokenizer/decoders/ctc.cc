#include <optional>

#include "tokenizer/clean_up.h"
#include "tokenizer/decoders/decoder.h"

namespace tensormill {
namespace {

struct CtcOptions {
  std::string pad_token, word_delimiter_token;
  bool cleanup;
};

// A token that is the one before it again is left out, and so is what is empty without padding.
class CtcStep : public WholeTokenStep {
 public:
  explicit CtcStep(const CtcOptions& options) : options_(&options) {}
  void finish() override { next().finish(); }

 protected:
  void on_token(const std::string& token) override {
    if (token == last_) return;
    last_ = token;
    std::string text = replace_all(token, options_->pad_token, "");
    if (options_->cleanup) {
      text = replace_all(clean_up_token(text), options_->word_delimiter_token, " ");
    }
    if (text.empty()) return;
    next().feed(text);
    next().end_token();
  }

 private:
  const CtcOptions* options_;
  std::optional<std::string> last_;
};

class Ctc : public Decoder {
 public:
  explicit Ctc(const JsonNode& node)
      : options_{node.at("pad_token").text(), node.at("word_delimiter_token").text(),
                 node.at("cleanup").flag()} {}
  void add_steps(DecodeSteps& steps) const override {
    steps.push_back(std::make_unique<CtcStep>(options_));
  }

 private:
  CtcOptions options_;
};

}  // namespace

std::unique_ptr<Decoder> make_ctc(const JsonNode& node) {
  return std::make_unique<Ctc>(node);
}

}  // namespace tensormill
