#include "base/utf8.h"
#include "tokenizer/slow/slow_models.h"

namespace tensormill {
namespace {

constexpr int32_t kBytes = 256;

// The one code point of a text, -1 where there isn't exactly one.
int32_t only_code_point(std::string_view text) {
  if (text.empty() || utf8_length(text[0]) != text.size()) return -1;
  size_t at = 0;
  return static_cast<int32_t>(next_code_point(text, at));
}

std::string character(int32_t code_point) {
  std::string text;
  const bool surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
  append_utf8(text, surrogate ? U'\ufffd' : static_cast<char32_t>(code_point));
  return text;
}

// Characters that stand for bytes, and added tokens as they are, to text.
class BytesStep : public WholeTokenStep {
 public:
  BytesStep(const std::unordered_map<std::string, int32_t>& added, bool ignores_errors)
      : added_(added), ignores_errors_(ignores_errors) {}

  void finish() override {
    flush(bytes_.size());
    next().end_token();
    next().finish();
  }

 protected:
  void on_token(const std::string& token) override {
    const int32_t byte = added_.contains(token) ? -1 : only_code_point(token);
    if (byte >= 0 && byte < kBytes) {
      bytes_.push_back(static_cast<char>(byte));
    } else {
      bytes_.append(token);
    }
    flush(bytes_.size() - incomplete_utf8_tail(bytes_));
  }

 private:
  void flush(size_t certain) {
    std::string text = bytes_.substr(0, certain);
    bytes_.erase(0, certain);
    if (!ignores_errors_) text = replace_invalid_utf8(text);
    for (size_t bad; (bad = find_invalid_utf8(text)) != std::string::npos;) text.erase(bad, 1);
    next().feed(text);
  }

  const std::unordered_map<std::string, int32_t>& added_;
  bool ignores_errors_;
  std::string bytes_;
};

// A token for each byte; the first ids are those of added tokens.
class ByteModel : public SlowModel {
 public:
  ByteModel(int32_t offset, bool ignores_errors)
      : offset_(offset), ignores_errors_(ignores_errors) {}

  std::vector<std::string> tokenize(std::string_view text) const override {
    std::vector<std::string> tokens;
    for (const char byte : text) tokens.push_back(character(static_cast<uint8_t>(byte)));
    return tokens;
  }
  int32_t size() const override { return kBytes; }
  int32_t id_bound() const override { return kBytes + offset_; }
  std::optional<int32_t> find(std::string_view token) const override {
    const int32_t byte = only_code_point(token);
    return byte >= 0 && byte < kBytes ? std::optional(byte + offset_) : std::nullopt;
  }
  std::string token(int32_t id) const override {
    return id >= offset_ ? character(id - offset_) : "";
  }
  void add_steps(DecodeSteps& steps, const DecodeContext& context) const override {
    steps.push_back(std::make_unique<BytesStep>(context.added, ignores_errors_));
  }

 private:
  int32_t offset_;
  bool ignores_errors_;
};

// A token for each code point.
class CodePoints : public SlowModel {
 public:
  std::vector<std::string> tokenize(std::string_view text) const override {
    std::vector<std::string> tokens;
    for (size_t at = 0; at < text.size(); at += utf8_length(text[at])) {
      tokens.emplace_back(text.substr(at, utf8_length(text[at])));
    }
    return tokens;
  }
  int32_t size() const override { return 0x110000; }
  std::optional<int32_t> find(std::string_view token) const override {
    const int32_t code_point = only_code_point(token);
    return code_point < 0 ? std::nullopt : std::optional(code_point);
  }
  std::string token(int32_t id) const override {
    switch (id) {
      case 0:
        return "[PAD]";
      case 0xe000:
        return "[CLS]";
      case 0xe001:
        return "[SEP]";
      case 0xe002:
        return "[BOS]";
      case 0xe003:
        return "[MASK]";
      case 0xe004:
        return "[RESERVED]";
      default:
        return character(id);
    }
  }
  void add_steps(DecodeSteps& steps, const DecodeContext&) const override {
    steps.push_back(make_fuse_step());
  }
};

SlowTokenizer::Added presets(const SlowFolder& folder, std::initializer_list<const char*> names) {
  SlowTokenizer::Added added;
  for (const char* name : names) {
    const auto found = folder.config.specials.find(name);
    if (found == folder.config.specials.end() || !found->second) continue;
    added.emplace_back(static_cast<int64_t>(added.size()), found->second->token);
  }
  return added;
}

Surroundings cls_sep(const SlowFolder& folder, bool types) {
  const std::vector<std::string> sep = {folder.special("sep_token")};
  return {{folder.special("cls_token")}, sep, false, sep, sep, types};
}

}  // namespace

std::unique_ptr<Tokenizer> make_byt5(const SlowFolder& folder) {
  return std::make_unique<SlowTokenizer>(
      std::make_unique<ByteModel>(3, true), folder,
      presets(folder, {"pad_token", "eos_token", "unk_token"}),
      Surroundings{{}, {folder.special("eos_token")}, true, {folder.special("eos_token")}});
}

std::unique_ptr<Tokenizer> make_perceiver(const SlowFolder& folder) {
  return std::make_unique<SlowTokenizer>(std::make_unique<ByteModel>(6, false), folder,
                                         presets(folder, {"pad_token", "bos_token", "eos_token",
                                                          "mask_token", "cls_token", "sep_token"}),
                                         cls_sep(folder, false));
}

std::unique_ptr<Tokenizer> make_canine(const SlowFolder& folder) {
  return std::make_unique<SlowTokenizer>(std::make_unique<CodePoints>(), folder,
                                         SlowTokenizer::Added{}, cls_sep(folder, true));
}

}  // namespace tensormill
