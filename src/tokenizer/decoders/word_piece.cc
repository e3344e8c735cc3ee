#include "tokenizer/clean_up.h"
#include "tokenizer/decoders/decoder.h"

namespace tensormill {
namespace {

// All tokens but the first one begin with a space or lose their prefix.
class WordPieceStep : public WholeTokenStep {
 public:
  WordPieceStep(const std::string& prefix, bool cleanup) : prefix_(&prefix), cleanup_(cleanup) {}
  void finish() override { next().finish(); }

 protected:
  void on_token(const std::string& token) override {
    std::string text;
    if (first_) {
      text = token;
    } else if (token.starts_with(*prefix_)) {
      text = token.substr(prefix_->size());
    } else {
      text.append(" ").append(token);
    }
    first_ = false;
    next().feed(cleanup_ ? clean_up_token(text) : text);
    next().end_token();
  }

 private:
  const std::string* prefix_;
  bool cleanup_;
  bool first_ = true;
};

class WordPieceDecoder : public Decoder {
 public:
  explicit WordPieceDecoder(const JsonNode& node)
      : prefix_(node.at("prefix").text()), cleanup_(node.at("cleanup").flag()) {}
  void add_steps(DecodeSteps& steps) const override {
    steps.push_back(std::make_unique<WordPieceStep>(prefix_, cleanup_));
  }

 private:
  std::string prefix_;
  bool cleanup_;
};

}  // namespace

std::unique_ptr<Decoder> make_word_piece_decoder(const JsonNode& node) {
  return std::make_unique<WordPieceDecoder>(node);
}

}  // namespace tensormill
