// json.dumps, as the filter tojson has it.
#include <algorithm>

#include "base/error.h"
#include "tokenizer/jinja/text.h"
#include "tokenizer/jinja/value.h"

namespace tensormill::jinja {
namespace {

class JsonWriter {
 public:
  explicit JsonWriter(const JsonStyle& style) : style_(style) {}

  void write(const Value& value, int level) {
    if (value.is_none()) {
      out_ += "null";
    } else if (const bool* b = value.get<bool>()) {
      out_ += *b ? "true" : "false";
    } else if (const std::string* text = value.text()) {
      out_ += json_quote(*text, style_.ascii);
    } else if (const double* d = value.get<double>()) {
      const std::string text_of = format_float(*d);
      out_ += text_of == "inf"    ? "Infinity"
              : text_of == "-inf" ? "-Infinity"
              : text_of == "nan"  ? "NaN"
                                  : text_of;
    } else if (value.is_integral()) {
      out_ += std::to_string(value.integer());
    } else if (const auto* big = value.get<BigInteger>()) {
      out_ += *big->digits;
    } else if (const List* list = json_list(value)) {
      write_list(*list, level);
    } else if (const Dict* dict = value.as_dict()) {
      write_dict(*dict, level);
    } else {
      throw Failure(fmt::format("Object of type {} is not JSON serializable", value.type_name()));
    }
  }
  std::string take() { return std::move(out_); }

 private:
  static const List* json_list(const Value& value) {
    const List* list = value.as_list();
    return list && (list->is(ListKind::kList) || list->is(ListKind::kTuple)) ? list : nullptr;
  }

  void check_length() const {
    if (out_.size() > kMaxWeight)
      throw Failure(fmt::format("tojson: text of more than {} bytes", kMaxWeight));
  }

  void new_line(int level) {
    if (!style_.multi_line) return;
    out_ += '\n';
    for (int i = 0; i < level; ++i) out_ += style_.indent;
  }

  void write_list(const List& list, int level) {
    out_ += '[';
    bool first = true;
    for (const Value& item : list.items) {
      if (!first) out_ += style_.item_separator;
      first = false;
      new_line(level + 1);
      write(item, level + 1);
      check_length();
    }
    if (!first) new_line(level);
    out_ += ']';
  }

  void write_dict(const Dict& dict, int level) {
    auto items = dict.items;
    if (style_.sort_keys) {
      std::stable_sort(items.begin(), items.end(), [](const auto& a, const auto& b) {
        return compare(a.first, b.first, "<") < 0;
      });
    }
    out_ += '{';
    bool first = true;
    for (const auto& [key, value] : items) {
      if (!first) out_ += style_.item_separator;
      first = false;
      new_line(level + 1);
      write_key(key);
      out_ += style_.key_separator;
      write(value, level + 1);
      check_length();
    }
    if (!first) new_line(level);
    out_ += '}';
  }

  void write_key(const Value& key) {
    if (key.text()) {
      write(key, 0);
      return;
    }
    JsonWriter plain(style_);
    plain.write(key, 0);
    out_ += '"' + plain.take() + '"';
  }

  const JsonStyle& style_;
  std::string out_;
};

}  // namespace

std::string to_json(const Value& value, const JsonStyle& style) {
  JsonWriter writer(style);
  writer.write(value, 0);
  return writer.take();
}

}  // namespace tensormill::jinja
