#include "tokenizer/slow/text_steps.h"

#include "tokenizer/clean_up.h"
#include "tokenizer/slow/python_text.h"

namespace tensormill {
namespace {

class ReplaceTextStep : public DecodeStep {
 public:
  ReplaceTextStep(std::string from, std::string to) : from_(std::move(from)), to_(std::move(to)) {}

  void feed(std::string_view text) override {
    held_.append(text);
    size_t done = 0;
    for (size_t at; (at = held_.find(from_, done)) != std::string::npos; done = at + from_.size()) {
      next().feed(std::string_view(held_).substr(done, at - done));
      next().feed(to_);
    }
    // What could be the begin of another one stays.
    size_t keep = std::min(from_.size() - 1, held_.size() - done);
    while (!from_.starts_with(std::string_view(held_).substr(held_.size() - keep))) --keep;
    next().feed(std::string_view(held_).substr(done, held_.size() - keep - done));
    held_.erase(0, held_.size() - keep);
  }
  void end_token() override {}
  void finish() override {
    next().feed(held_);
    next().end_token();
    next().finish();
  }

 private:
  std::string from_, to_, held_;
};

class StripTextStep : public DecodeStep {
 public:
  void feed(std::string_view text) override {
    held_.append(text);
    if (!started_) {
      held_.erase(0, python_strip_left(held_));
      started_ = !held_.empty();
    }
    const size_t certain = python_strip_right(held_);
    next().feed(std::string_view(held_).substr(0, certain));
    held_.erase(0, certain);
  }
  void end_token() override {}
  void finish() override {
    next().end_token();
    next().finish();
  }

 private:
  std::string held_;
  bool started_ = false;
};

class CleanUpStep : public DecodeStep {
 public:
  void feed(std::string_view text) override {
    held_.append(text);
    const size_t certain = clean_up_border(held_);
    next().feed(clean_up_spaces(std::string_view(held_).substr(0, certain)));
    held_.erase(0, certain);
  }
  void end_token() override {}
  void finish() override {
    next().feed(clean_up_spaces(held_));
    next().end_token();
    next().finish();
  }

 private:
  std::string held_;
};

class WordEnd : public Decoder {
 public:
  WordEnd(std::unique_ptr<Decoder> inner, std::string from, std::string to)
      : inner_(std::move(inner)), from_(std::move(from)), to_(std::move(to)) {}
  void add_steps(DecodeSteps& steps) const override {
    inner_->add_steps(steps);
    steps.push_back(make_replace_text_step(from_, to_));
    steps.push_back(make_strip_text_step());
  }

 private:
  std::unique_ptr<Decoder> inner_;
  std::string from_, to_;
};

}  // namespace

std::unique_ptr<DecodeStep> make_replace_text_step(std::string from, std::string to) {
  return std::make_unique<ReplaceTextStep>(std::move(from), std::move(to));
}

std::unique_ptr<DecodeStep> make_strip_text_step() {
  return std::make_unique<StripTextStep>();
}

std::unique_ptr<DecodeStep> make_clean_up_step() {
  return std::make_unique<CleanUpStep>();
}

std::unique_ptr<Decoder> make_word_end_decoder(std::unique_ptr<Decoder> inner, std::string from,
                                               std::string to) {
  return std::make_unique<WordEnd>(std::move(inner), std::move(from), std::move(to));
}

}  // namespace tensormill
