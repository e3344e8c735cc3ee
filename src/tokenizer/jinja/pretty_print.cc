// The filter pprint, as Python's pprint.pformat.
#include <algorithm>

#include "base/error.h"
#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/text.h"

namespace tensormill::jinja {
namespace {

using Items = std::vector<std::pair<Value, Value>>;

// By key; keys without an order between them by the names of their types.
Items sorted_items(const Dict& dict) {
  Items items = dict.items;
  std::stable_sort(items.begin(), items.end(), [](const auto& a, const auto& b) {
    try {
      return compare(a.first, b.first, "<") < 0;
    } catch (const Failure&) {
      return std::string_view(a.first.type_name()) < std::string_view(b.first.type_name());
    }
  });
  return items;
}

bool is_plain_list(const Value& value) {
  const List* list = value.as_list();
  return list && (list->is(ListKind::kList) || list->is(ListKind::kTuple));
}

std::string sorted_repr(const Value& value) {
  std::string out;
  const auto separate = [&out] { out += out.size() > 1 ? ", " : ""; };
  if (const Dict* dict = value.as_dict()) {
    out = '{';
    for (const auto& [key, each] : sorted_items(*dict)) {
      separate();
      out += sorted_repr(key);
      out += ": ";
      out += sorted_repr(each);
    }
    out += '}';
    return out;
  }
  if (!is_plain_list(value)) return to_repr(value);
  const List& list = *value.as_list();
  const bool tuple = list.is(ListKind::kTuple);
  out = tuple ? '(' : '[';
  for (const Value& each : list.items) {
    separate();
    out += sorted_repr(each);
  }
  out += !tuple ? "]" : list.items.size() == 1 ? ",)" : ")";
  return out;
}

class PrettyPrinter {
 public:
  // indent: the column where the value begins; behind: how much of the line must stay free.
  void write(const Value& value, int64_t indent, int64_t behind, bool outermost) {
    const std::string shown = sorted_repr(value);
    const bool fits = width_of(shown) <= kWidth - indent - behind;
    if (!fits && value.as_dict()) {
      write_dict(*value.as_dict(), indent, behind);
    } else if (!fits && is_plain_list(value)) {
      write_list(*value.as_list(), indent, behind);
    } else if (!fits && value.text() && !value.is_markup()) {
      write_text(*value.text(), indent, behind, outermost);
    } else {
      out_ += shown;
    }
    check_size(out_.size());
  }
  std::string take() { return std::move(out_); }

 private:
  static constexpr int64_t kWidth = 80;

  static int64_t width_of(std::string_view text) {
    return static_cast<int64_t>(count_code_points(text));
  }

  void new_line(int64_t indent) {
    out_ += '\n';
    out_.append(static_cast<size_t>(indent), ' ');
  }

  void write_dict(const Dict& dict, int64_t indent, int64_t behind) {
    out_ += '{';
    size_t left = dict.items.size();
    for (const auto& [key, value] : sorted_items(dict)) {
      if (left < dict.items.size()) {
        out_ += ',';
        new_line(indent + 1);
      }
      const std::string shown = sorted_repr(key);
      out_ += shown;
      out_ += ": ";
      --left;
      write(value, indent + width_of(shown) + 3, left == 0 ? behind + 1 : 1, false);
    }
    out_ += '}';
  }

  void write_list(const List& list, int64_t indent, int64_t behind) {
    const bool tuple = list.is(ListKind::kTuple);
    const std::string_view end = !tuple ? "]" : list.items.size() == 1 ? ",)" : ")";
    out_ += tuple ? '(' : '[';
    for (size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) {
        out_ += ',';
        new_line(indent + 1);
      }
      const bool last = i + 1 == list.items.size();
      write(list.items[i], indent + 1, last ? behind + width_of(end) : 1, false);
    }
    out_ += end;
  }

  // One string for each line of the text, and more where a line is too long.
  void write_text(const std::string& text, int64_t indent, int64_t behind, bool outermost) {
    if (outermost) {
      ++indent;
      ++behind;
    }
    std::vector<std::string> parts;
    const std::vector<std::string> lines = split_lines(text, true);
    for (size_t i = 0; i < lines.size(); ++i) {
      const bool last = i + 1 == lines.size();
      std::string shown = python_repr(lines[i]);
      if (width_of(shown) <= kWidth - indent - (last ? behind : 0)) {
        parts.push_back(std::move(shown));
      } else {
        split_line(lines[i], kWidth - indent, last ? behind : 0, parts);
      }
    }
    if (parts.size() == 1) {
      out_ += python_repr(lines.back());
      return;
    }
    if (outermost) out_ += '(';
    for (size_t i = 0; i < parts.size(); ++i) {
      if (i > 0) new_line(indent);
      out_ += parts[i];
    }
    if (outermost) out_ += ')';
  }

  // Between words, each with the blanks behind it.
  static void split_line(std::string_view line, int64_t width, int64_t behind,
                         std::vector<std::string>& parts) {
    std::string current;
    for (size_t at = 0; at < line.size();) {
      const size_t begin = at;
      at = word_end(line, at);
      const std::string_view word = line.substr(begin, at - begin);
      if (at == line.size()) width -= behind;
      std::string longer = current;
      longer += word;
      if (width_of(python_repr(longer)) > width) {
        if (!current.empty()) parts.push_back(python_repr(current));
        current = word;
      } else {
        current = longer;
      }
    }
    if (!current.empty()) parts.push_back(python_repr(current));
  }

  static size_t word_end(std::string_view line, size_t at) {
    for (bool blanks = false; at < line.size();) {
      size_t next = at;
      const bool blank = is_space(next_code_point(line, next));
      if (blanks && !blank) break;
      blanks = blank;
      at = next;
    }
    return at;
  }

  std::string out_;
};

Value filter_pprint(const Value& value, const Arguments&, Runtime& runtime) {
  // Each level shows what is in it.
  runtime.charge(value.weight() / 4 * static_cast<size_t>(1 + value.depth()));
  PrettyPrinter printer;
  printer.write(value, 0, 0, true);
  return printer.take();
}

constexpr FilterRow kFilters[] = {{"pprint", filter_pprint, ""}};

}  // namespace

std::span<const FilterRow> print_filters() {
  return kFilters;
}

}  // namespace tensormill::jinja
