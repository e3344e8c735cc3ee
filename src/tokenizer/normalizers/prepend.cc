#include "tokenizer/normalizers/normalizer.h"

namespace tensormill {
namespace {

class Prepend : public Normalizer {
 public:
  explicit Prepend(std::string prefix) : prefix_(std::move(prefix)) {}
  void apply(Normalized& text) const override { text.prepend(prefix_); }

 private:
  std::string prefix_;
};

}  // namespace

std::unique_ptr<Normalizer> make_prepend(const JsonNode& node) {
  return std::make_unique<Prepend>(node.at("prepend").text());
}

}  // namespace tensormill
