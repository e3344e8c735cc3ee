#include "tokenizer/unicode.h"

#include <utf8proc.h>

#include <algorithm>

#include "base/utf8.h"

namespace tensormill {
namespace {

// The tables say which code points the reference's version of Unicode has; what utf8proc knows
// about those never changes.
int combining_class(char32_t c) {
  if (!is_combining_mark(c)) return 0;
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
    if (!decomposes(c)) {
      changes.push_back({c, 0});
      continue;
    }
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
  const auto joined = static_cast<char32_t>(pair[0]);
  return length == 1 && decomposes(joined) ? joined : 0;
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
    const char32_t lower = to_lower(c);
    same = same && lower == c;
    changes.push_back({lower, 0});
  }
  if (!same) text.transform(changes);
}

}  // namespace tensormill
