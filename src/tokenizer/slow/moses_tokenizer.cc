#include <algorithm>
#include <array>
#include <span>

#include "tokenizer/normalized.h"
#include "tokenizer/slow/moses.h"
#include "tokenizer/slow/moses_text.h"
#include "tokenizer/slow/python_text.h"

namespace tensormill {

using Text = std::u32string;
using View = std::u32string_view;

MosesTokenizer::MosesTokenizer(std::string_view language, const MosesOptions& options)
    : language_(language), options_(options) {
  for (const MosesLanguage& row : kMosesLanguages) {
    if (row.code != language) continue;
    for (auto& word : python_split(row.prefixes)) prefixes_.insert(std::move(word));
    for (auto& word : python_split(row.numeric)) numeric_.insert(std::move(word));
  }
}

bool is_moses_language(std::string_view language) {
  return std::any_of(kMosesLanguages.begin(), kMosesLanguages.end(),
                     [&](const MosesLanguage& row) { return row.code == language; });
}

namespace {

// Characters that belong to no word stand alone.
Text pad_symbols(const Text& text) {
  Text result;
  for (const char32_t c : text) {
    const bool kept =
        moses_is(c, kMosesAlnum) || is_python_space(c) || View(U".'`,-").find(c) != View::npos;
    if (kept) {
      result.push_back(c);
    } else {
      result.append({U' ', c, U' '});
    }
  }
  return result;
}

Text split_hyphens(const Text& text) {
  Text result;
  for (size_t i = 0; i < text.size(); ++i) {
    result.push_back(text[i]);
    if (i + 2 < text.size() && text[i + 1] == U'-' && moses_is(text[i], kMosesAlnum) &&
        moses_is(text[i + 2], kMosesAlnum)) {
      result.append(U" @-@ ");
      ++i;
    }
  }
  return result;
}

// Runs of dots are words that later steps leave alone.
Text hide_dot_runs(const Text& text) {
  Text result;
  for (size_t i = 0; i < text.size();) {
    size_t end = i;
    while (end < text.size() && text[end] == U'.') ++end;
    if (end - i < 2) {
      result.push_back(text[i++]);
      continue;
    }
    result.push_back(U' ');
    for (; i < end; ++i) result.append(U"DOT");
    result.append(end < text.size() ? U"MULTI " : U"MULTI");
  }
  return result;
}

std::string show_dot_runs(const std::string& text) {
  std::string result;
  for (size_t i = 0; i < text.size();) {
    size_t end = i;
    while (text.compare(end, 3, "DOT") == 0) end += 3;
    if (end == i || text.compare(end, 5, "MULTI") != 0) {
      const size_t next = std::max(end, i + 1);
      result.append(text, i, next - i);
      i = next;
      continue;
    }
    result.append((end - i) / 3, '.');
    i = end + 5;
  }
  return result;
}

// Commas stand alone unless numbers are around them.
Text pad_commas(const Text& text) {
  Text first;
  for (size_t i = 0; i < text.size(); ++i) {
    first.push_back(text[i]);
    if (moses_is(text[i], kMosesNumber) || i + 1 == text.size() || text[i + 1] != U',') continue;
    first.append(U" , ");
    ++i;
  }
  Text result;
  for (size_t i = 0; i < first.size(); ++i) {
    if (first[i] == U',' && i + 1 < first.size() && !moses_is(first[i + 1], kMosesNumber)) {
      result.append(U" , ").push_back(first[++i]);
    } else {
      result.push_back(first[i]);
    }
  }
  const size_t size = result.size();
  if (size >= 2 && result.back() == U',' && moses_is(result[size - 2], kMosesNumber)) {
    result.replace(size - 1, 1, U" , ");
  }
  return result;
}

// What stands instead of an apostrophe between two characters that pass.
struct ApostropheRule {
  bool (*left)(char32_t);
  bool (*right)(char32_t);
  View to;
};

bool is_alpha(char32_t c) {
  return moses_is(c, kMosesAlpha);
}
bool is_no_alpha(char32_t c) {
  return !is_alpha(c);
}

constexpr ApostropheRule kEnglish[] = {
    {is_no_alpha, is_no_alpha, U" ' "},
    {[](char32_t c) { return !moses_is(c, kMosesAlpha | kMosesNumber); }, is_alpha, U" ' "},
    {is_alpha, is_no_alpha, U" ' "},
    {is_alpha, is_alpha, U" '"},
    {[](char32_t c) { return moses_is(c, kMosesNumber); }, [](char32_t c) { return c == U's'; },
     U" '"}};
constexpr ApostropheRule kFrench[] = {{is_no_alpha, is_no_alpha, U" ' "},
                                      {is_no_alpha, is_alpha, U" ' "},
                                      {is_alpha, is_no_alpha, U" ' "},
                                      {is_alpha, is_alpha, U"' "}};

Text split_apostrophes(Text text, std::span<const ApostropheRule> rules) {
  for (const ApostropheRule& rule : rules) {
    Text result;
    for (size_t i = 0; i < text.size(); ++i) {
      result.push_back(text[i]);
      if (i + 2 >= text.size() || text[i + 1] != U'\'' || !rule.left(text[i]) ||
          !rule.right(text[i + 2])) {
        continue;
      }
      result.append(rule.to).push_back(text[i + 2]);
      i += 2;
    }
    text = std::move(result);
  }
  return text;
}

std::string escaped(const std::string& word) {
  static constexpr std::array<std::pair<char, const char*>, 8> kEscapes = {{{'&', "&amp;"},
                                                                            {'|', "&#124;"},
                                                                            {'<', "&lt;"},
                                                                            {'>', "&gt;"},
                                                                            {'\'', "&apos;"},
                                                                            {'"', "&quot;"},
                                                                            {'[', "&#91;"},
                                                                            {']', "&#93;"}}};
  std::string result;
  for (const char c : word) {
    const auto* found = std::find_if(kEscapes.begin(), kEscapes.end(),
                                     [&](const auto& item) { return item.first == c; });
    if (found == kEscapes.end()) {
      result.push_back(c);
    } else {
      result.append(found->second);
    }
  }
  return result;
}

}  // namespace

Text MosesTokenizer::spaced(Text text) const {
  text = collapse(text, is_python_space);
  std::erase_if(text, [](char32_t c) { return c < 0x20; });
  text = pad_symbols(strip_text(text));
  if (options_.splits_hyphens) text = split_hyphens(text);
  text = pad_commas(hide_dot_runs(text));
  if (language_ == "en") return split_apostrophes(std::move(text), kEnglish);
  if (language_ == "fr") return split_apostrophes(std::move(text), kFrench);
  return replace_all(text, U"'", U" ' ");
}

// The words, with the dot behind one as its own word unless it belongs to an abbreviation.
std::vector<Text> MosesTokenizer::split_dots(const Text& text) const {
  const std::vector<Text> words = split_text(text);
  std::vector<Text> result;
  for (size_t i = 0; i < words.size(); ++i) {
    const Text& word = words[i];
    result.push_back(word);
    if (word.size() < 2 || word.back() != U'.') continue;
    const Text stem = word.substr(0, word.size() - 1);
    const std::string prefix = utf8_of(stem);
    const char32_t next = i + 1 < words.size() ? words[i + 1][0] : 0;
    const bool numeric = numeric_.contains(prefix);
    const bool kept =
        (stem.find(U'.') != Text::npos && std::any_of(stem.begin(), stem.end(), is_alpha)) ||
        (prefixes_.contains(prefix) && !numeric) || (next != 0 && moses_is(next, kMosesLower)) ||
        (numeric && next >= U'0' && next <= U'9');
    if (kept) continue;
    result.back() = stem;
    result.emplace_back(U".");
  }
  return result;
}

std::vector<std::string> MosesTokenizer::tokenize(std::string_view text) const {
  std::vector<Text> words = split_dots(spaced(code_points_of(text)));
  if (!words.empty() && words.back().ends_with(U".'")) {
    words.back().resize(words.back().size() - 2);
    if (words.back().empty()) words.pop_back();
    words.insert(words.end(), {U".", U"'"});
  }
  std::vector<std::string> tokens;
  for (const Text& word : words) {
    const std::string shown = show_dot_runs(utf8_of(word));
    tokens.push_back(options_.escapes ? escaped(shown) : shown);
  }
  return tokens;
}

}  // namespace tensormill
