#include <algorithm>

#include "tokenizer/normalizers/normalizer.h"
#include "tokenizer/unicode.h"

namespace tensormill {
namespace {

class Strip : public Normalizer {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}

  void apply(Normalized& text) const override {
    const std::u32string all = code_points_of(text.text());
    size_t begin = 0, end = all.size();
    if (left_) {
      while (begin < end && is_white_space(all[begin])) ++begin;
    }
    if (right_) {
      while (end > begin && is_white_space(all[end - 1])) --end;
    }
    if (begin == 0 && end == all.size()) return;
    std::vector<Change> changes;
    for (size_t i = begin; i < end; ++i) changes.push_back({all[i], 0});
    text.transform(changes, begin);
  }

 private:
  bool left_, right_;
};

}  // namespace

std::unique_ptr<Normalizer> make_strip(const JsonNode& node) {
  return std::make_unique<Strip>(node.at("strip_left").flag(), node.at("strip_right").flag());
}

}  // namespace tensormill
