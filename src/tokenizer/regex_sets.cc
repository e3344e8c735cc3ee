#include "tokenizer/regex_sets.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "tokenizer/regex_tables.h"

namespace tensormill {
namespace {

// PCRE2's own \s has U+180E too.
constexpr std::string_view kSpace =
    "\\t-\\r\\x20\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}"
    "\\x{3000}";
constexpr std::string_view kNotSpace =
    "\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}"
    "\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}"
    "\\x{3001}-\\x{10ffff}";

// Adds the new code points for which test() holds.
template <class Test>
std::string with_new(std::string members, Test&& test) {
  for (const NewCodePoints& row : kNewCodePoints) {
    if (!test(row)) continue;
    members += fmt::format("\\x{{{:x}}}", static_cast<uint32_t>(row.first));
    if (row.last > row.first) {
      members += fmt::format("-\\x{{{:x}}}", static_cast<uint32_t>(row.last));
    }
  }
  return members;
}

std::string category(std::string_view name) {
  if (name == "Mn") return kNonspacingMarks;
  return with_new(fmt::format("\\p{{{}}}", name),
                  [&](const NewCodePoints& row) { return row.category.starts_with(name); });
}

std::string flagged(std::string_view name) {
  return with_new(fmt::format("\\p{{{}}}", name), [&](const NewCodePoints& row) {
    return row.flags.find(name[0]) != std::string_view::npos;
  });
}

std::string script(std::string_view name) {
  const auto letters_equal = [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) ==
           std::tolower(static_cast<unsigned char>(b));
  };
  return with_new(fmt::format("\\p{{sc:{}}}", name), [&](const NewCodePoints& row) {
    return std::equal(row.script.begin(), row.script.end(), name.begin(), name.end(),
                      letters_equal);
  });
}

std::string categories(std::initializer_list<std::string_view> names) {
  std::string members;
  for (const std::string_view name : names) members += category(name);
  return members;
}

// Without spaces, hyphens and underscores, in lower case.
std::string plain_name(std::string_view name) {
  std::string plain;
  for (const char c : name) {
    if (c != ' ' && c != '_' && c != '-') {
      plain.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
    }
  }
  return plain;
}

constexpr std::pair<std::string_view, std::string_view> kCategories[] = {
    {"l", "L"},
    {"letter", "L"},
    {"lu", "Lu"},
    {"uppercaseletter", "Lu"},
    {"ll", "Ll"},
    {"lowercaseletter", "Ll"},
    {"lt", "Lt"},
    {"titlecaseletter", "Lt"},
    {"lm", "Lm"},
    {"modifierletter", "Lm"},
    {"lo", "Lo"},
    {"otherletter", "Lo"},
    {"m", "M"},
    {"mark", "M"},
    {"mn", "Mn"},
    {"nonspacingmark", "Mn"},
    {"mc", "Mc"},
    {"spacingmark", "Mc"},
    {"me", "Me"},
    {"enclosingmark", "Me"},
    {"n", "N"},
    {"number", "N"},
    {"nd", "Nd"},
    {"decimalnumber", "Nd"},
    {"digit", "Nd"},
    {"nl", "Nl"},
    {"letternumber", "Nl"},
    {"no", "No"},
    {"othernumber", "No"},
    {"p", "P"},
    {"punct", "P"},
    {"punctuation", "P"},
    {"pc", "Pc"},
    {"connectorpunctuation", "Pc"},
    {"pd", "Pd"},
    {"dashpunctuation", "Pd"},
    {"ps", "Ps"},
    {"openpunctuation", "Ps"},
    {"pe", "Pe"},
    {"closepunctuation", "Pe"},
    {"pi", "Pi"},
    {"initialpunctuation", "Pi"},
    {"pf", "Pf"},
    {"finalpunctuation", "Pf"},
    {"po", "Po"},
    {"otherpunctuation", "Po"},
    {"s", "S"},
    {"symbol", "S"},
    {"sm", "Sm"},
    {"mathsymbol", "Sm"},
    {"sc", "Sc"},
    {"currencysymbol", "Sc"},
    {"sk", "Sk"},
    {"modifiersymbol", "Sk"},
    {"so", "So"},
    {"othersymbol", "So"},
    {"z", "Z"},
    {"separator", "Z"},
    {"zs", "Zs"},
    {"spaceseparator", "Zs"},
    {"zl", "Zl"},
    {"lineseparator", "Zl"},
    {"zp", "Zp"},
    {"paragraphseparator", "Zp"},
    {"cc", "Cc"},
    {"cntrl", "Cc"},
    {"control", "Cc"},
    {"cf", "Cf"},
    {"format", "Cf"},
    {"co", "Co"},
    {"privateuse", "Co"},
};

// Properties that PCRE2 knows by the same name.
constexpr std::string_view kBinary[] = {
    "any",
    "ascii",
    "c",
    "cn",
    "cs",
    "emoji",
    "emojimodifier",
    "emojipresentation",
    "extendedpictographic",
    "idcontinue",
    "idstart",
    "ideographic",
    "math",
    "other",
    "variationselector",
    "whitespace",
    "xidcontinue",
    "xidstart",
};

}  // namespace

std::string word_members(bool outside_of_class) {
  std::string members = flagged("Alphabetic") + categories({"M", "Nd", "Pc"});
  if (outside_of_class) members += "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}";
  return members;
}

std::string_view space_members() {
  return kSpace;
}

std::string_view not_space_members() {
  return kNotSpace;
}

std::string digit_members() {
  return category("Nd");
}

std::string property_members(std::string_view name) {
  const std::string plain = plain_name(name);
  for (const auto& [known, short_name] : kCategories) {
    if (known == plain) return category(short_name);
  }
  if (plain == "other") return "\\p{C}";
  for (const std::string_view known : kBinary) {
    if (known == plain) return fmt::format("\\p{{{}}}", plain);
  }
  const std::string posix = posix_members(plain);
  if (!posix.empty()) return posix;
  if (plain == "alphabetic") return flagged("Alphabetic");
  if (plain == "uppercase") return flagged("Uppercase");
  if (plain == "lowercase") return flagged("Lowercase");
  return script(plain);
}

std::string posix_members(std::string_view name) {
  if (name == "alpha") return flagged("Alphabetic");
  if (name == "upper") return flagged("Uppercase");
  if (name == "lower") return flagged("Lowercase");
  if (name == "alnum") return flagged("Alphabetic") + category("Nd");
  if (name == "digit") return category("Nd");
  if (name == "space") return std::string(kSpace);
  if (name == "blank") return category("Zs") + "\\t";
  if (name == "cntrl") return "\\p{Cc}";
  if (name == "punct") return categories({"P", "S"});
  if (name == "graph") return categories({"L", "M", "N", "P", "S", "Cf", "Co"});
  if (name == "print") return categories({"L", "M", "N", "P", "S", "Cf", "Co", "Zs"});
  if (name == "word") return word_members(false);
  if (name == "xdigit") return "0-9a-fA-F";
  if (name == "ascii") return "\\x{0}-\\x{7f}";
  return "";
}

}  // namespace tensormill
