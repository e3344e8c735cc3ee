#include "base/utf8.h"
#include "tokenizer/decoders/decoder.h"
#include "tokenizer/metaspace_scheme.h"

namespace tensormill {
namespace {

// The replacement becomes a space; in the first token, which encoding began with one, nothing.
class MetaspaceStep : public DecodeStep {
 public:
  MetaspaceStep(char32_t replacement, bool strips_first)
      : replacement_(replacement), strips_(strips_first) {}

  void feed(std::string_view text) override {
    std::string result;
    for (size_t i = 0; i < text.size();) {
      const size_t begin = i;
      if (next_code_point(text, i) != replacement_) {
        result.append(text.substr(begin, i - begin));
      } else if (!strips_) {
        result.push_back(' ');
      }
    }
    next().feed(result);
  }
  void end_token() override {
    strips_ = false;
    next().end_token();
  }
  void finish() override { next().finish(); }

 private:
  char32_t replacement_;
  bool strips_;
};

class Metaspace : public Decoder {
 public:
  explicit Metaspace(const JsonNode& node)
      : replacement_(node.at("replacement").character()),
        strips_first_(prepend_scheme(node) != PrependScheme::kNever) {}
  void add_steps(DecodeSteps& steps) const override {
    steps.push_back(std::make_unique<MetaspaceStep>(replacement_, strips_first_));
  }

 private:
  char32_t replacement_;
  bool strips_first_;
};

}  // namespace

std::unique_ptr<Decoder> make_metaspace_decoder(const JsonNode& node) {
  return std::make_unique<Metaspace>(node);
}

}  // namespace tensormill
