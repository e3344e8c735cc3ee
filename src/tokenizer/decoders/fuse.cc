#include "tokenizer/decoders/decoder.h"

namespace tensormill {
namespace {

class FuseStep : public DecodeStep {
 public:
  void feed(std::string_view text) override { next().feed(text); }
  void end_token() override {}
  void finish() override {
    next().end_token();
    next().finish();
  }
};

class Fuse : public Decoder {
 public:
  void add_steps(DecodeSteps& steps) const override { steps.push_back(make_fuse_step()); }
};

// Tokens with spaces between them.
class SpaceJoinerStep : public DecodeStep {
 public:
  void feed(std::string_view text) override {
    if (pending_) next().feed(" ");
    pending_ = false;
    next().feed(text);
  }
  void end_token() override {
    if (pending_) next().feed(" ");  // an empty token still has its space
    pending_ = true;
  }
  void finish() override {
    next().end_token();
    next().finish();
  }

 private:
  bool pending_ = false;
};

class SpaceJoiner : public Decoder {
 public:
  void add_steps(DecodeSteps& steps) const override {
    steps.push_back(std::make_unique<SpaceJoinerStep>());
  }
};

}  // namespace

std::unique_ptr<DecodeStep> make_fuse_step() {
  return std::make_unique<FuseStep>();
}

std::unique_ptr<Decoder> make_fuse(const JsonNode&) {
  return std::make_unique<Fuse>();
}

std::unique_ptr<Decoder> make_space_joiner() {
  return std::make_unique<SpaceJoiner>();
}

}  // namespace tensormill
