// The filter wordwrap, as Python's textwrap breaks lines.
#include <algorithm>

#include "base/error.h"
#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/text.h"

namespace tensormill::jinja {
namespace {

enum Trait : uint8_t {
  kWord = 1,     // \w
  kLetter = 2,   // \w but no digit
  kGap = 4,      // ASCII white space: a line may break there
  kBlank = 8,    // any white space
  kBefore = 16,  // may stand before a dash
  kHyphen = 32,
};

uint8_t traits_of(std::string_view one, int32_t code_point) {
  uint8_t out = 0;
  if (one == "_" || is_alnum(one)) out |= kWord | kBefore | (is_decimal(one) ? 0 : kLetter);
  if (std::string_view("\t\n\v\f\r ").find(one) != std::string_view::npos) out |= kGap;
  if (is_space(code_point)) out |= kBlank;
  if (std::string_view("!\"'&.,?").find(one) != std::string_view::npos) out |= kBefore;
  if (one == "-") out |= kHyphen;
  return out;
}

struct Piece {
  size_t begin, end;  // code points
  size_t size() const { return end - begin; }
};

struct WrapStyle {
  size_t width;
  bool break_words, break_hyphens;
  bool split_hyphens;  // only where break_on_hyphens is true itself
};

class Wrapper {
 public:
  Wrapper(std::string_view line, const WrapStyle& style)
      : line_(line), style_(style), offsets_(code_point_offsets(line)) {
    for (size_t at = 0; at < line.size();) {
      const size_t begin = at;
      const int32_t code_point = next_code_point(line, at);
      traits_.push_back(traits_of(line.substr(begin, at - begin), code_point));
    }
  }

  std::vector<Value> lines() {
    split();
    std::reverse(rest_.begin(), rest_.end());
    std::vector<Value> out;
    while (!rest_.empty()) {
      if (!out.empty() && is_blank_piece(rest_.back())) rest_.pop_back();
      std::string text;
      for (const Piece& piece : next_line())
        text += line_.substr(offsets_[piece.begin], offsets_[piece.end] - offsets_[piece.begin]);
      if (has_line_) out.emplace_back(std::move(text));
    }
    return out;
  }

 private:
  bool is(size_t at, uint8_t traits) const { return at < traits_.size() && traits_[at] & traits; }

  bool is_blank_piece(const Piece& piece) const {
    return std::all_of(traits_.begin() + static_cast<std::ptrdiff_t>(piece.begin),
                       traits_.begin() + static_cast<std::ptrdiff_t>(piece.end),
                       [](uint8_t traits) { return traits & kBlank; });
  }

  // Words, gaps and dashes.
  void split() {
    for (size_t at = 0; at < traits_.size();) {
      const size_t begin = at;
      if (is(at, kGap)) {
        while (is(at, kGap)) ++at;
      } else if (style_.split_hyphens && begin > 0 && is(begin - 1, kBefore) && dash_end(begin)) {
        at = dash_end(begin);
      } else {
        at = word_end(begin);
      }
      rest_.push_back({begin, at});
    }
  }

  // Of two or more hyphens before a word; 0: there is no such dash.
  size_t dash_end(size_t begin) const {
    size_t end = begin;
    while (is(end, kHyphen)) ++end;
    return end >= begin + 2 && is(end, kWord) ? end : 0;
  }

  size_t word_end(size_t begin) const {
    for (size_t end = begin + 1;; ++end) {
      if (style_.split_hyphens && is(end, kHyphen) && breaks_behind(end)) return end + 1;
      if (end == traits_.size() || is(end, kGap)) return end;
      if (style_.split_hyphens && is(end, kHyphen) && is(end - 1, kBefore) && dash_end(end))
        return end;
    }
  }

  // Whether the hyphen stands between two parts of a word of at least two letters.
  bool breaks_behind(size_t hyphen) const {
    const bool before = hyphen >= 2 && is(hyphen - 1, kLetter) &&
                        (is(hyphen - 2, kLetter) ||
                         (hyphen >= 3 && is(hyphen - 2, kHyphen) && is(hyphen - 3, kLetter)));
    const size_t second = is(hyphen + 2, kHyphen) ? hyphen + 3 : hyphen + 2;
    return before && is(hyphen + 1, kLetter) && is(second, kLetter);
  }

  std::vector<Piece> next_line() {
    std::vector<Piece> line;
    size_t used = 0;
    while (!rest_.empty() && used + rest_.back().size() <= style_.width) {
      used += rest_.back().size();
      line.push_back(rest_.back());
      rest_.pop_back();
    }
    if (!rest_.empty() && rest_.back().size() > style_.width)
      take_from_long_word(line, style_.width - used);
    if (!line.empty() && is_blank_piece(line.back())) line.pop_back();
    has_line_ = !line.empty();
    return line;
  }

  void take_from_long_word(std::vector<Piece>& line, size_t space) {
    Piece& word = rest_.back();
    if (!style_.break_words) {
      if (!line.empty()) return;
      line.push_back(word);
      rest_.pop_back();
      return;
    }
    size_t end = word.begin + space;
    if (style_.break_hyphens) {
      size_t hyphen = end;
      while (hyphen > word.begin && !is(hyphen - 1, kHyphen)) --hyphen;
      const auto other = [this](size_t from, size_t to) {
        for (; from < to; ++from) {
          if (!is(from, kHyphen)) return true;
        }
        return false;
      };
      if (hyphen > word.begin + 1 && other(word.begin, hyphen - 1)) end = hyphen;
    }
    line.push_back({word.begin, end});
    word.begin = end;
  }

  std::string_view line_;
  const WrapStyle& style_;
  std::vector<size_t> offsets_;
  std::vector<uint8_t> traits_;
  std::vector<Piece> rest_;  // the next one last
  bool has_line_ = false;
};

Value filter_wordwrap(const Value& value, const Arguments& args, Runtime& runtime) {
  if (const auto* undefined = value.get<Undefined>()) fail_undefined(*undefined);
  if (!value.text()) {
    throw Failure(fmt::format("'{}' object has no attribute 'splitlines'", value.type_name()));
  }
  const int64_t width = args.integer(0, "width", 79);
  const Value* wrap = args.find(2, "wrapstring");
  const Value* hyphens = args.find(3, "break_on_hyphens");
  const std::string newline = wrap && !wrap->is_none() ? to_text(*wrap) : "\n";
  runtime.charge(value.text()->size());
  std::string out;
  bool first = true;
  for (const std::string& line : split_lines(*value.text(), false)) {
    if (width <= 0) throw Failure(fmt::format("invalid width {} (must be > 0)", width));
    const WrapStyle style{static_cast<size_t>(width), args.flag(1, "break_long_words", true),
                          !hyphens || hyphens->truth(),
                          !hyphens || (hyphens->get<bool>() && hyphens->truth())};
    if (!std::exchange(first, false)) out += newline;
    out += join_texts(Wrapper(line, style).lines(), newline);
    check_size(out.size());
  }
  return out;
}

constexpr FilterRow kFilters[] = {
    {"wordwrap", filter_wordwrap, "width break_long_words wrapstring break_on_hyphens"},
};

}  // namespace

std::span<const FilterRow> wrap_filters() {
  return kFilters;
}

}  // namespace tensormill::jinja
