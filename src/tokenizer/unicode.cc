#include "tokenizer/unicode.h"

#include <utf8proc.h>

#include <algorithm>

#include "base/utf8.h"

namespace tensormill {
namespace {

utf8proc_category_t category(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

int combining_class(char32_t c) {
  return utf8proc_get_property(static_cast<utf8proc_int32_t>(c))->combining_class;
}

// Whether a form may change `c` or join it with a neighbour. False for what most text is made of.
bool may_change(char32_t c, NormalForm form) {
  if (c < 0x80) return false;
  if (form == NormalForm::kNfc || form == NormalForm::kNfkc) {
    const bool plain = c < 0x300 || (c >= 0x400 && c < 0x483) || (c >= 0x48a && c < 0x530) ||
                       (c >= 0x3041 && c < 0x3097) || (c >= 0x30a1 && c < 0x30ff) ||
                       (c >= 0x3400 && c < 0xa000) || (c >= 0xac00 && c < 0xd7a4);
    if (plain && form == NormalForm::kNfc) return false;
  }
  return true;
}

// Canonical order: runs of marks sorted by class, stable.
void sort_marks(std::vector<Change>& changes) {
  for (size_t i = 0; i < changes.size();) {
    if (combining_class(changes[i].code_point) == 0) {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < changes.size() && combining_class(changes[end].code_point) != 0) ++end;
    std::stable_sort(changes.begin() + static_cast<ptrdiff_t>(i),
                     changes.begin() + static_cast<ptrdiff_t>(end),
                     [](const Change& a, const Change& b) {
                       return combining_class(a.code_point) < combining_class(b.code_point);
                     });
    i = end;
  }
}

std::vector<Change> decompose(std::u32string_view text, bool compatibility) {
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE |
                                                      (compatibility ? UTF8PROC_COMPAT : 0));
  std::vector<Change> changes;
  changes.reserve(text.size());
  utf8proc_int32_t parts[64];
  for (const char32_t c : text) {
    int last_class = 0;
    const auto count =
        utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts, 64, options, &last_class);
    if (count <= 0 || count > 64) {
      changes.push_back({c, 0});
      continue;
    }
    for (utf8proc_ssize_t i = 0; i < count; ++i) {
      changes.push_back({static_cast<char32_t>(parts[i]), i == 0 ? 0 : 1});
    }
  }
  sort_marks(changes);
  return changes;
}

// The primary composite of two code points, or 0.
char32_t compose_pair(char32_t a, char32_t b) {
  constexpr char32_t kL = 0x1100, kV = 0x1161, kT = 0x11a7, kS = 0xac00;
  if (a >= kL && a < kL + 19 && b >= kV && b < kV + 21) {
    return kS + ((a - kL) * 21 + (b - kV)) * 28;
  }
  if (a >= kS && a < kS + 11172 && (a - kS) % 28 == 0 && b > kT && b < kT + 28) {
    return a + (b - kT);
  }
  if (b < 0x300) return 0;  // no second of a pair
  utf8proc_int32_t pair[2] = {static_cast<utf8proc_int32_t>(a), static_cast<utf8proc_int32_t>(b)};
  const auto length = utf8proc_normalize_utf32(
      pair, 2, static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
  return length == 1 ? static_cast<char32_t>(pair[0]) : 0;
}

std::vector<Change> compose(const std::vector<Change>& changes) {
  std::vector<Change> out;
  out.reserve(changes.size());
  size_t starter = 0;
  bool has_starter = false;
  int last_class = 0;
  for (const Change& change : changes) {
    const int ccc = combining_class(change.code_point);
    const bool adjacent = has_starter && starter + 1 == out.size();
    const bool blocked = !adjacent && (last_class >= ccc || ccc == 0);
    if (has_starter && !blocked) {
      if (const char32_t joined = compose_pair(out[starter].code_point, change.code_point)) {
        out[starter] = {joined, out[starter].change + change.change - 1};
        continue;
      }
    }
    if (ccc == 0) {
      starter = out.size();
      has_starter = true;
    }
    last_class = ccc;
    out.push_back(change);
  }
  return out;
}

}  // namespace

bool is_white_space(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= 9 && c <= 13);
  return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
         c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool is_number(char32_t c) {
  if (c < 0x80) return c >= '0' && c <= '9';
  const auto value = category(c);
  return value == UTF8PROC_CATEGORY_ND || value == UTF8PROC_CATEGORY_NL ||
         value == UTF8PROC_CATEGORY_NO;
}

bool is_punctuation(char32_t c) {
  if (c < 0x80) {
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
           (c >= '{' && c <= '~');
  }
  const auto value = category(c);
  return value >= UTF8PROC_CATEGORY_PC && value <= UTF8PROC_CATEGORY_PO;
}

bool is_combining_mark(char32_t c) {
  const auto value = category(c);
  return value == UTF8PROC_CATEGORY_MN || value == UTF8PROC_CATEGORY_MC ||
         value == UTF8PROC_CATEGORY_ME;
}

void normalize(Normalized& text, NormalForm form) {
  bool changes = false;
  for (size_t i = 0; i < text.text().size() && !changes;) {
    changes = may_change(next_code_point(text.text(), i), form);
  }
  if (!changes) return;
  const bool compatibility = form == NormalForm::kNfkc || form == NormalForm::kNfkd;
  const std::u32string before = code_points_of(text.text());
  std::vector<Change> after = decompose(before, compatibility);
  if (form == NormalForm::kNfc || form == NormalForm::kNfkc) after = compose(after);
  const bool same = std::equal(before.begin(), before.end(), after.begin(), after.end(),
                               [](char32_t a, const Change& b) { return a == b.code_point; });
  if (!same) text.transform(after);
}

void lowercase(Normalized& text) {
  std::vector<Change> changes;
  bool same = true;
  for (const char32_t c : code_points_of(text.text())) {
    if (c == 0x130) {  // the one letter whose lower case is two code points
      changes.push_back({'i', 0});
      changes.push_back({0x307, 1});
      same = false;
      continue;
    }
    const auto lower = static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
    same = same && lower == c;
    changes.push_back({lower, 0});
  }
  if (!same) text.transform(changes);
}

}  // namespace tensormill
