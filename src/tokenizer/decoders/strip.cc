#include <algorithm>

#include "base/utf8.h"
#include "tokenizer/decoders/decoder.h"

namespace tensormill {
namespace {

// Takes up to `start` characters off a token's begin and up to `stop` off its end.
class StripStep : public DecodeStep {
 public:
  StripStep(const std::string& content, size_t start, size_t stop)
      : content_(&content), start_(start), stop_(stop), left_(start) {}

  void feed(std::string_view text) override {
    while (left_ > 0 && !text.empty()) {
      if (text.starts_with(*content_)) {
        text.remove_prefix(content_->size());
        --left_;
      } else {
        left_ = 0;
      }
    }
    if (stop_ == 0) {
      next().feed(text);
      return;
    }
    held_.append(text);
    const size_t keep = std::min(held_.size(), strippable());
    next().feed(std::string_view(held_).substr(0, held_.size() - keep));
    held_.erase(0, held_.size() - keep);
  }

  void end_token() override {
    held_.clear();
    left_ = start_;
    next().end_token();
  }

  void finish() override { next().finish(); }

 private:
  // Bytes at the end of held_ that go if the token ends here.
  size_t strippable() const {
    size_t count = 0;
    std::string_view text = held_;
    while (count < stop_ && text.ends_with(*content_)) {
      text.remove_suffix(content_->size());
      ++count;
    }
    return count * content_->size();
  }

  const std::string* content_;
  size_t start_, stop_, left_;
  std::string held_;
};

class Strip : public Decoder {
 public:
  explicit Strip(const JsonNode& node)
      : start_(static_cast<size_t>(node.at("start").integer(0, kMaxCount))),
        stop_(static_cast<size_t>(node.at("stop").integer(0, kMaxCount))) {
    append_utf8(content_, node.at("content").character());
  }
  void add_steps(DecodeSteps& steps) const override {
    steps.push_back(std::make_unique<StripStep>(content_, start_, stop_));
  }

 private:
  static constexpr int64_t kMaxCount = 1 << 20;
  std::string content_;
  size_t start_, stop_;
};

}  // namespace

std::unique_ptr<Decoder> make_strip_decoder(const JsonNode& node) {
  return std::make_unique<Strip>(node);
}

}  // namespace tensormill
