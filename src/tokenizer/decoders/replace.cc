#include "tokenizer/decoders/decoder.h"
#include "tokenizer/regex.h"

namespace tensormill {
namespace {

class ReplaceStep : public WholeTokenStep {
 public:
  ReplaceStep(const Pattern& pattern, const std::string& content)
      : pattern_(&pattern), content_(&content) {}
  void finish() override { next().finish(); }

 protected:
  void on_token(const std::string& token) override {
    matches_.clear();
    if (!token.empty()) pattern_->find_all(token, matches_);  // an empty one matches nothing
    size_t done = 0;
    for (const auto& [begin, end] : matches_) {
      next().feed(std::string_view(token).substr(done, begin - done));
      next().feed(*content_);
      done = end;
    }
    next().feed(std::string_view(token).substr(done));
    next().end_token();
  }

 private:
  const Pattern* pattern_;
  const std::string* content_;
  ByteRanges matches_;
};

class Replace : public Decoder {
 public:
  explicit Replace(const JsonNode& node)
      : pattern_(node.at("pattern")), content_(node.at("content").text()) {}
  void add_steps(DecodeSteps& steps) const override {
    steps.push_back(std::make_unique<ReplaceStep>(pattern_, content_));
  }

 private:
  Pattern pattern_;
  std::string content_;
};

}  // namespace

std::unique_ptr<Decoder> make_replace_decoder(const JsonNode& node) {
  return std::make_unique<Replace>(node);
}

}  // namespace tensormill
