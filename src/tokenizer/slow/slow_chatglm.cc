#include <charconv>

#include "base/error.h"
#include "tokenizer/slow/convert.h"
#include "tokenizer/slow/piece_runs.h"
#include "tokenizer/slow/python_text.h"
#include "tokenizer/slow/slow_models.h"

namespace tensormill {
namespace {

constexpr size_t kMaxBlanks = 80;
constexpr std::string_view kTab = "<|tab|>", kLine = "<n>", kBlank = "<|blank_";

SentencePiece open_model(const SlowFolder& folder, std::string_view name) {
  const auto file = folder.file(name);
  return SentencePiece(read_sentencepiece(file), file.string());
}

// Line ends, tabs and runs of spaces as the tokens that stand for them.
std::string with_blank_tokens(std::string_view text) {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    const size_t run = std::min(text.find_first_not_of(' ', at), text.size()) - at;
    if (run >= 2) {
      const size_t blanks = std::min(run, kMaxBlanks);
      result.append(fmt::format("<|blank_{}|>", blanks));
      at += blanks;
      continue;
    }
    if (text[at] == '\n') {
      result.append(kLine);
    } else if (text[at] == '\t') {
      result.append(kTab);
    } else {
      result.push_back(text[at]);
    }
    ++at;
  }
  return result;
}

// And back, wherever their texts stand.
class BlankStep : public DecodeStep {
 public:
  void feed(std::string_view text) override {
    held_.append(text);
    drain(false);
  }
  void end_token() override {}
  void finish() override {
    drain(true);
    next().end_token();
    next().finish();
  }

 private:
  static constexpr size_t kLongest = 12;  // "<|blank_80|>"

  void drain(bool last) {
    std::string out;
    size_t at = 0;
    while (at < held_.size()) {
      const size_t open = std::min(held_.find('<', at), held_.size());
      out.append(held_, at, open - at);
      at = open;
      if (at == held_.size() || (!last && held_.size() - at < kLongest && may_grow(at))) break;
      at += replace_at(at, out);
    }
    held_.erase(0, at);
    next().feed(out);
  }

  // Could more text make one of the tokens of what stands at `at`?
  bool may_grow(size_t at) const {
    const std::string_view text = std::string_view(held_).substr(at);
    if (kLine.starts_with(text) || kTab.starts_with(text) || kBlank.starts_with(text)) return true;
    return text.starts_with(kBlank) && text.find('>') == std::string_view::npos;
  }

  size_t replace_at(size_t at, std::string& out) const {
    const std::string_view text = std::string_view(held_).substr(at);
    if (text.starts_with(kLine)) {
      out.push_back('\n');
      return kLine.size();
    }
    if (text.starts_with(kTab)) {
      out.push_back('\t');
      return kTab.size();
    }
    size_t blanks = 0;
    const char* begin = text.data() + kBlank.size();
    if (text.starts_with(kBlank)) {
      const auto [end, error] = std::from_chars(begin, text.data() + text.size(), blanks);
      const std::string whole = fmt::format("<|blank_{}|>", blanks);
      if (error == std::errc() && blanks >= 2 && blanks <= kMaxBlanks && text.starts_with(whole)) {
        out.append(blanks, ' ');
        return whole.size();
      }
    }
    out.push_back('<');
    return 1;
  }

  std::string held_;
};

// ChatGLM-6B: ids of images first, then the pieces.
class Glm1 : public SlowModel {
 public:
  explicit Glm1(const SlowFolder& folder)
      : model_(open_model(folder, "ice_text.model")),
        lower_(folder.flag("do_lower_case", false)),
        remove_space_(folder.flag("remove_space", false)) {
    const auto given = folder.config.node().find("num_image_tokens");
    offset_ = static_cast<int32_t>(given ? given->integer(0, 1 << 20) : 20000);
  }

  std::vector<std::string> tokenize(std::string_view given) const override {
    std::string text(given);
    if (remove_space_) {
      text.clear();
      for (const std::string& word : python_split(given)) {
        text.append(text.empty() ? "" : " ").append(word);
      }
    }
    if (lower_) text = python_lower(text);
    return model_.encode(with_blank_tokens(text));
  }
  bool lowers_text() const override { return lower_; }
  int32_t size() const override { return model_.size() + offset_; }
  std::optional<int32_t> find(std::string_view token) const override {
    const auto id = model_.find(token);
    return id ? std::optional(*id + offset_) : std::nullopt;
  }
  std::optional<int32_t> unknown_id() const override { return model_.id_of("") + offset_; }
  std::string token(int32_t id) const override {
    if (id < offset_) return fmt::format("<image_{}>", id);
    return id - offset_ < model_.size() ? model_.piece(id - offset_) : "";
  }
  void add_steps(DecodeSteps& steps, const DecodeContext&) const override {
    steps.push_back(model_.make_decoder());
    steps.push_back(std::make_unique<BlankStep>());
  }

 private:
  SentencePiece model_;
  int32_t offset_ = 0;
  bool lower_, remove_space_;
};

// ChatGLM2 and 3: tokens for masks and roles behind the pieces; bos, eos and pad have no text.
class Glm3 : public SlowModel {
 public:
  explicit Glm3(const SlowFolder& folder) : model_(open_model(folder, "tokenizer.model")) {
    for (const char* token : {"[MASK]", "[gMASK]", "[sMASK]", "sop", "eop", "<|system|>",
                              "<|user|>", "<|assistant|>", "<|observation|>"}) {
      commands_.emplace_back(token);
    }
    if (folder.flag("encode_special_tokens", false)) {
      roles_.assign(commands_.begin() + 5, commands_.end());
    }
  }

  std::vector<std::string> tokenize(std::string_view text) const override {
    std::vector<std::string> tokens;
    while (!text.empty()) {
      size_t begin = text.size(), bytes = 0;
      for (const std::string& role : roles_) {
        const size_t at = text.find(role);
        if (at < begin) {
          begin = at;
          bytes = role.size();
        }
      }
      for (auto& piece : model_.encode(text.substr(0, begin))) tokens.push_back(std::move(piece));
      if (bytes > 0) tokens.emplace_back(text.substr(begin, bytes));
      text.remove_prefix(begin + bytes);
    }
    return tokens;
  }
  int32_t size() const override { return model_.size() + static_cast<int32_t>(commands_.size()); }
  std::optional<int32_t> find(std::string_view token) const override {
    for (size_t i = 0; i < commands_.size(); ++i) {
      if (commands_[i] == token) return model_.size() + static_cast<int32_t>(i);
    }
    return model_.find(token);
  }
  std::optional<int32_t> unknown_id() const override { return model_.id_of(""); }
  std::string token(int32_t id) const override {
    if (id >= model_.size()) {
      const auto index = static_cast<size_t>(id - model_.size());
      return index < commands_.size() ? commands_[index] : "";
    }
    const SentencePieceModel& spec = model_.model();
    const bool silent = id == spec.bos_id || id == spec.eos_id || id == model_.id_of("");
    return silent ? "" : model_.piece(id);
  }
  void add_steps(DecodeSteps& steps, const DecodeContext&) const override {
    steps.push_back(model_.make_decoder());
  }

 private:
  SentencePiece model_;
  std::vector<std::string> commands_, roles_;
};

void set_special(TokenizerConfig& config, const char* name, const char* text) {
  if (config.specials.contains(name)) return;
  TokenizerConfig::Special special;
  special.token.content = text;
  special.token.special = true;
  special.token.normalized = false;
  special.as_text = true;
  config.specials[name] = std::move(special);
}

}  // namespace

std::unique_ptr<Tokenizer> make_chatglm(const SlowFolder& folder) {
  if (!folder.has("ice_text.model")) {
    if (is_tiktoken_file(folder.file("tokenizer.model"))) return make_chatglm4(folder);
    return std::make_unique<SlowTokenizer>(
        std::make_unique<Glm3>(folder), folder, SlowTokenizer::Added{},
        Surroundings{.before = {"[gMASK]", "sop"}, .after = {}, .after_pair = {{"</s>"}}});
  }
  TokenizerConfig config = folder.config;
  set_special(config, "bos_token", "<sop>");
  set_special(config, "eos_token", "<eop>");
  set_special(config, "mask_token", "[MASK]");
  set_special(config, "pad_token", "<pad>");
  set_special(config, "unk_token", "<unk>");
  const SlowFolder files{folder.folder, config};
  const std::vector<std::string> after = {folder.text("gmask_token", "[gMASK]"),
                                          files.special("bos_token")};
  return std::make_unique<SlowTokenizer>(
      std::make_unique<Glm1>(files), files, SlowTokenizer::Added{},
      Surroundings{{}, after, false, after, {{files.special("eos_token")}}});
}

}  // namespace tensormill
