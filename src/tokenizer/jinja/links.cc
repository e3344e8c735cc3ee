#include "tokenizer/jinja/links.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "tokenizer/jinja/text.h"

namespace tensormill::jinja {
namespace {

bool all(std::string_view text, bool (*holds)(std::string_view one)) {
  for (size_t i = 0; i < text.size();) {
    const size_t begin = i;
    next_code_point(text, i);
    if (!holds(text.substr(begin, i - begin))) return false;
  }
  return true;
}

// \w of Python.
bool is_word(std::string_view one) {
  return one == "_" || is_alnum(one);
}
bool is_label(std::string_view one) {
  return one == "%" || one == "-" || is_word(one);
}
bool is_mail_host(std::string_view one) {
  return one == "." || one == "-" || is_word(one);
}

bool skip(std::string_view& text, std::string_view prefix) {
  if (text.size() < prefix.size() || lower(text.substr(0, prefix.size())) != prefix) return false;
  text.remove_prefix(prefix.size());
  return true;
}

bool has_size(std::string_view text, size_t least, size_t most) {
  const size_t size = count_code_points(text);
  return size >= least && size <= most;
}

bool is_top_level(std::string_view label) {
  const bool letters = std::all_of(label.begin(), label.end(), [](char c) {
    return std::isalpha(static_cast<unsigned char>(c));
  });
  if (letters && has_size(label, 2, 63)) return true;
  const auto in_name = [](std::string_view one) { return one == "%" || is_word(one); };
  return skip(label, "xn--") && has_size(label, 2, 59) && all(label, in_name);
}

bool is_common_domain(std::string_view label) {
  static constexpr std::string_view kNames[] = {"com", "net", "int",  "edu",
                                                "gov", "org", "info", "mil"};
  return std::find(std::begin(kNames), std::end(kNames), lower(label)) != std::end(kNames);
}

// A host of labels with dots between them, the last of which is `last`.
bool is_host(std::string_view host, size_t longest_label, bool (*last)(std::string_view)) {
  while (true) {
    const size_t dot = host.find('.');
    if (dot == std::string_view::npos) return last(host);
    const std::string_view label = host.substr(0, dot);
    if (label.empty() || !all(label, is_label)) return false;
    if (longest_label != 0 && !has_size(label, 2, longest_label)) return false;
    host.remove_prefix(dot + 1);
  }
}

bool is_named_host(std::string_view host) {
  return is_host(host, 0, is_top_level);
}
bool is_bare_domain(std::string_view host) {
  return host.find('.') != std::string_view::npos && is_host(host, 63, is_common_domain);
}

bool is_address4(std::string_view host) {
  for (int i = 0; i < 4; ++i) {
    const size_t dot = host.find('.');
    const std::string_view number = host.substr(0, dot);
    if ((dot == std::string_view::npos) != (i == 3)) return false;
    if (!is_decimal(number) || !has_size(number, 1, 3)) return false;
    if (i < 3) host.remove_prefix(dot + 1);
  }
  return true;
}

// Two groups of up to four digits with a ':', and one to six with or without.
bool is_address6(std::string_view inside) {
  size_t groups = 0, colons = 0;
  while (true) {
    const size_t colon = inside.find(':');
    const std::string_view digits = inside.substr(0, colon);
    const auto hexadecimal = [](std::string_view one) {
      return is_decimal(one) ||
             (one.size() == 1 && std::isxdigit(static_cast<unsigned char>(one[0])));
    };
    if (!all(digits, hexadecimal)) return false;
    const size_t size = count_code_points(digits);
    if (colons < 2) {
      if (size > 4 || colon == std::string_view::npos) return false;
    } else {
      groups += (size + 3) / 4 + (size == 0 && colon != std::string_view::npos);
    }
    if (colon == std::string_view::npos) return groups <= 6;
    ++colons;
    inside.remove_prefix(colon + 1);
  }
}

// What may follow a host: ":80/path?query".
bool is_rest(std::string_view rest) {
  if (rest.starts_with(':')) {
    const size_t end = std::min(rest.find_first_of("/?#"), rest.size());
    const std::string_view port = rest.substr(1, end - 1);
    if (!is_decimal(port) || !has_size(port, 1, 5)) return false;
    rest.remove_prefix(end);
  }
  return rest.empty() || std::string_view("/?#").find(rest[0]) != std::string_view::npos;
}

bool is_web_address(std::string_view text) {
  const bool with_scheme = skip(text, "https://") || skip(text, "http://");
  if (with_scheme && text.starts_with('[')) {
    const size_t end = text.find(']');
    return end != std::string_view::npos && is_address6(text.substr(1, end - 1)) &&
           is_rest(text.substr(end + 1));
  }
  const size_t end = std::min(text.find_first_of(":/?#"), text.size());
  std::string_view host = text.substr(0, end);
  if (!is_rest(text.substr(end))) return false;
  if (with_scheme) return is_named_host(host) || is_address4(host);
  return is_bare_domain(host) || (skip(host, "www.") && is_named_host(host));
}

bool is_mail_address(std::string_view text) {
  const size_t at = text.rfind('@');
  if (at == 0 || at == std::string_view::npos) return false;
  const std::string_view host = text.substr(at + 1);
  const size_t dot = host.rfind('.');
  if (dot == 0 || dot == std::string_view::npos || dot + 1 == host.size()) return false;
  size_t first = 0;
  next_code_point(host, first);
  return is_word(host.substr(0, first)) && all(host.substr(0, dot), is_mail_host) &&
         all(host.substr(dot + 1), is_word);
}

int64_t count(std::string_view text, std::string_view part) {
  int64_t n = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string_view::npos; at += part.size()) ++n;
  return n;
}

struct Word {
  std::string_view head, middle, tail;
};

// Brackets before an address, and points and brackets behind it, are none of it.
Word take_apart(std::string_view word) {
  const std::string_view all_of_it = word;
  const auto starts = [&word] {
    if (word.starts_with('(') || word.starts_with('<')) return size_t{1};
    return word.starts_with("&lt;") ? size_t{4} : size_t{0};
  };
  while (const size_t n = starts()) word.remove_prefix(n);
  const size_t begin = all_of_it.size() - word.size();
  const auto ends = [&word] {
    if (word.ends_with("&gt;")) return size_t{4};
    return !word.empty() && std::string_view(")>.,").find(word.back()) != std::string_view::npos
               ? size_t{1}
               : size_t{0};
  };
  while (const size_t n = ends()) word.remove_suffix(n);
  size_t end = begin + word.size();
  const auto tail = [&] { return all_of_it.substr(end); };
  // A bracket that the address opened closes it.
  static constexpr std::string_view kPairs[][2] = {{"(", ")"}, {"<", ">"}, {"&lt;", "&gt;"}};
  for (const auto& [open, close] : kPairs) {
    const std::string_view middle = all_of_it.substr(begin, end - begin);
    const int64_t opened = count(middle, open);
    if (opened <= count(middle, close)) continue;
    for (int64_t i = std::min(opened, count(tail(), close)); i > 0; --i)
      end += tail().find(close) + close.size();
  }
  return {all_of_it.substr(0, begin), all_of_it.substr(begin, end - begin), tail()};
}

std::string linked(std::string_view address, const LinkStyle& style) {
  if (is_web_address(address)) {
    const bool whole = address.starts_with("https://") || address.starts_with("http://");
    std::string shown(address);
    if (style.limit) {
      const auto offsets = code_point_offsets(address);
      const auto size = static_cast<int64_t>(offsets.size()) - 1;
      const int64_t kept =
          *style.limit < 0 ? std::max<int64_t>(0, size + *style.limit) : *style.limit;
      if (size > *style.limit) shown = shown.substr(0, offsets[static_cast<size_t>(kept)]) + "...";
    }
    return fmt::format("<a href=\"{}{}\"{}>{}</a>", whole ? "" : "https://", address,
                       style.attributes, shown);
  }
  if (address.starts_with("mailto:") && is_mail_address(address.substr(7)))
    return fmt::format("<a href=\"{}\">{}</a>", address, address.substr(7));
  if (!address.starts_with("www.") && !address.starts_with("@") &&
      address.find(':') == std::string_view::npos && is_mail_address(address))
    return fmt::format("<a href=\"mailto:{}\">{}</a>", address, address);
  std::string out(address);
  for (const std::string& scheme : style.schemes) {
    if (out != scheme && out.starts_with(scheme))
      out = fmt::format("<a href=\"{0}\"{1}>{0}</a>", out, style.attributes);
  }
  return out;
}

}  // namespace

std::string with_links(std::string_view text, const LinkStyle& style) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    size_t end = i, next = i;
    while (next < text.size() && !is_space(next_code_point(text, next))) end = next;
    const auto [head, middle, tail] = take_apart(text.substr(i, end - i));
    out += head;
    out += linked(middle, style);
    out += tail;
    out.append(text.substr(end, next - end));
    i = next;
  }
  return out;
}

}  // namespace tensormill::jinja
