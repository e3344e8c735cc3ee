#include <fmt/format.h>

#include "base/utf8.h"
#include "tokenizer/charsmap.h"
#include "tokenizer/normalizers/normalizer.h"
#include "tokenizer/unicode.h"

namespace tensormill {
namespace {

constexpr size_t kWholeBytes = 5;  // clusters up to this size are looked up as a whole

int32_t digit_of(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

std::string decode_base64(const JsonNode& node) {
  const std::string text = node.text();
  const size_t digits = text.find_last_not_of('=') + 1;
  if (text.size() % 4 != 0 || text.size() - digits > 2) node.fail("expected padded base64");
  std::string out;
  out.reserve(digits / 4 * 3 + 2);
  uint32_t bits = 0;
  int count = 0;
  for (size_t i = 0; i < digits; ++i) {
    const int32_t digit = digit_of(text[i]);
    if (digit < 0) node.fail(fmt::format("character {} is not base64", i));
    bits = bits << 6 | static_cast<uint32_t>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out.push_back(static_cast<char>(bits >> count & 0xff));
  }
  return out;
}

// Appends the code points of `replacement` in the place of `count` old ones.
void replace(size_t count, std::string_view replacement, std::vector<Change>& out) {
  size_t added = 0;
  for (size_t i = 0; i < replacement.size(); ++added) {
    out.push_back({next_code_point(replacement, i), 0});
  }
  if (added > count) {
    for (size_t i = 0; i < added - count; ++i) out[out.size() - 1 - i].change = 1;
  } else if (!out.empty()) {
    // With nothing added they vanish behind what came before, as in the reference.
    out.back().change -= static_cast<int>(count - added);
  }
}

class Precompiled : public Normalizer {
 public:
  explicit Precompiled(Charsmap rules) : rules_(std::move(rules)) {}

  void apply(Normalized& given) const override {
    const std::string_view text = given.text();
    std::vector<Change> changes;
    changes.reserve(text.size());
    bool changed = false;
    for (size_t begin = 0, end; begin < text.size(); begin = end) {
      end = grapheme_end(text, begin);
      const std::string_view cluster = text.substr(begin, end - begin);
      if (cluster.size() <= kWholeBytes) {
        if (const auto found = rules_.find(cluster)) {
          replace(count_code_points(cluster), *found, changes);
          changed = true;
          continue;
        }
      }
      changed |= apply_to_each(cluster, changes);
    }
    if (changed) given.transform(changes);
  }

 private:
  bool apply_to_each(std::string_view cluster, std::vector<Change>& changes) const {
    bool changed = false;
    for (size_t i = 0; i < cluster.size();) {
      const size_t begin = i;
      const char32_t c = next_code_point(cluster, i);
      if (const auto found = rules_.find(cluster.substr(begin, i - begin))) {
        replace(1, *found, changes);
        changed = true;
      } else {
        changes.push_back({c, 0});
      }
    }
    return changed;
  }

  Charsmap rules_;
};

}  // namespace

std::unique_ptr<Normalizer> make_precompiled(const JsonNode& node) {
  const auto map = node.find("precompiled_charsmap");
  if (!map) node.fail("\"precompiled_charsmap\" is missing");
  return std::make_unique<Precompiled>(Charsmap(decode_base64(*map), map->where()));
}

}  // namespace tensormill
