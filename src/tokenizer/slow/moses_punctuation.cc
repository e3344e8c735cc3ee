#include <algorithm>
#include <span>

#include "tokenizer/normalized.h"
#include "tokenizer/slow/moses.h"
#include "tokenizer/slow/moses_text.h"
#include "tokenizer/slow/python_text.h"

namespace tensormill {
namespace {

using Text = std::u32string;
using View = std::u32string_view;

bool is_space(char32_t c) {
  return c == U' ';
}

// The hard space between two digits; a digit counts for one pair only.
Text join_digits(Text text, char32_t with) {
  for (size_t i = 0; i + 2 < text.size(); ++i) {
    if (text[i + 1] != U'\u00a0' || !is_python_digit(text[i]) || !is_python_digit(text[i + 2])) {
      continue;
    }
    text[i + 1] = with;
    i += 2;
  }
  return text;
}

Text replace_wide_punctuation(const Text& text) {
  static constexpr View kFrom = U"，、”“∶：？《》）！（；」「０１２３４５６７８９～’━〈〉【】％";
  static constexpr View kTo = U",,\"\"::?\"\")!(;\"\"0123456789~'-<>[]%";
  static_assert(kFrom.size() == kTo.size());
  Text result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == U'…') {
      result.append(U"...");
    } else if (text[i] == U'。' || text[i] == U'．') {
      result.append(U". ");
      while (i + 1 < text.size() && is_python_space(text[i + 1])) ++i;
    } else {
      const size_t known = kFrom.find(text[i]);
      result.push_back(known == View::npos ? text[i] : kTo[known]);
    }
  }
  return result;
}

struct Replacement {
  View from, to;
};

Text replace_list(Text text, std::span<const Replacement> list) {
  for (const Replacement& item : list) text = replace_all(text, item.from, item.to);
  return text;
}

// Spaces beside brackets and punctuation.
Text normalize_spaces(Text text) {
  static constexpr Replacement kBrackets[] = {{U"\r", U""}, {U"(", U" ("}, {U")", U") "}};
  static constexpr Replacement kAfter[] = {{U") .", U")."}, {U") !", U")!"}, {U") :", U"):"},
                                           {U") ?", U")?"}, {U") ;", U");"}, {U") ,", U"),"},
                                           {U"( ", U"("},   {U" )", U")"}};
  text = collapse(replace_list(std::move(text), kBrackets), is_space);
  text = replace_list(std::move(text), kAfter);
  Text result;
  for (size_t i = 0; i < text.size(); ++i) {  // "5 %"
    result.push_back(text[i]);
    if (is_python_digit(text[i]) && View(text).substr(i + 1, 2) == U" %") ++i;
  }
  return replace_all(replace_all(result, U" :", U":"), U" ;", U";");
}

Text normalize_quotes(Text text) {
  static constexpr Replacement kQuotes[] = {{U"`", U"'"},  {U"''", U" \" "}, {U"„", U"\""},
                                            {U"“", U"\""}, {U"”", U"\""},    {U"–", U"-"},
                                            {U"—", U" - "}};
  static constexpr Replacement kMore[] = {{U"´", U"'"},
                                          {U"‘", U"'"},
                                          {U"‚", U"'"},
                                          {U"’", U"'"},
                                          {U"''", U"\""},
                                          {U"…", U"..."},
                                          {U"\u00a0«\u00a0", U"\""},
                                          {U"«\u00a0", U"\""},
                                          {U"«", U"\""},
                                          {U"\u00a0»\u00a0", U"\""},
                                          {U"\u00a0»", U"\""},
                                          {U"»", U"\""},
                                          {U"\u00a0%", U"%"},
                                          {U"nº\u00a0", U"nº "},
                                          {U"\u00a0:", U":"},
                                          {U"\u00a0ºC", U" ºC"},
                                          {U"\u00a0cm", U" cm"},
                                          {U"\u00a0?", U"?"},
                                          {U"\u00a0!", U"!"},
                                          {U"\u00a0;", U";"},
                                          {U",\u00a0", U", "}};
  text = collapse(replace_list(std::move(text), kQuotes), is_space);
  return collapse(replace_list(std::move(text), kMore), is_space);
}

// A quotation mark goes behind the dots and commas that follow it.
Text quotes_behind_commas(const Text& text) {
  Text result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == U'"') {
      while (i + 1 < text.size() && (text[i + 1] == U',' || text[i + 1] == U'.')) {
        result.push_back(text[++i]);
      }
      result.push_back(U'"');
    } else {
      result.push_back(text[i]);
    }
  }
  return result;
}

// A quotation mark goes before the comma or the dots that it follows, unless "<" or the end comes.
Text quotes_before_commas(const Text& given) {
  const Text text = replace_all(given, U",\"", U"\",");
  Text result;
  for (size_t i = 0; i < text.size();) {
    size_t dots = i;
    while (dots < text.size() && text[dots] == U'.') ++dots;
    const size_t after = dots + 1;
    if (dots == i || dots == text.size() || text[dots] != U'"' || after == text.size() ||
        text[after] == U'<') {
      const size_t end = std::max(dots, i + 1);
      result.append(text, i, end - i);
      i = end;
      continue;
    }
    size_t end = after;
    while (end < text.size() && is_python_space(text[end])) ++end;
    if (end < text.size() && text[end] != U'<') ++end;
    result.push_back(U'"');
    result.append(text, i, dots - i).append(text, after, end - after);
    i = end;
  }
  return result;
}

bool is_one_of(std::string_view language, std::string_view list) {
  return language.size() == 2 && list.find(language) != std::string_view::npos;
}

}  // namespace

std::string moses_punctuation(std::string_view given, std::string_view language) {
  Text text = replace_wide_punctuation(code_points_of(given));
  text = normalize_quotes(normalize_spaces(std::move(text)));
  if (language == "en") text = quotes_behind_commas(text);
  if (is_one_of(language, "de es fr")) text = quotes_before_commas(text);
  const bool comma = is_one_of(language, "de es cz cs fr");
  text = strip_text(join_digits(std::move(text), comma ? U',' : U'.'));
  std::erase_if(text, is_python_other);
  return utf8_of(text);
}

}  // namespace tensormill
