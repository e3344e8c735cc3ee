#include <algorithm>

#include "base/utf8.h"
#include "tokenizer/slow/listed_words.h"
#include "tokenizer/slow/piece_model.h"
#include "tokenizer/slow/python_text.h"
#include "tokenizer/slow/vocabulary_files.h"
#include "tokenizer/unicode.h"

namespace tensormill {
namespace {

// Pieces of a model, of which a list names those that count.
class Bartpho : public ListedWords {
 public:
  Bartpho(const SlowFolder& folder, const std::vector<std::string>& tokens)
      : ListedWords(folder, tokens),
        pieces_(open_sentencepiece(folder, "sentencepiece.bpe.model")) {}

  std::vector<std::string> tokenize(std::string_view text) const override {
    return pieces_->encode(text);
  }
  void add_steps(DecodeSteps& steps, const DecodeContext&) const override {
    steps.push_back(make_replace_text_step("\u2581", " "));
    steps.push_back(make_strip_text_step());
  }

 private:
  std::unique_ptr<SentencePiece> pieces_;
};

// Pieces of a text without control characters, in composed form.
class GptSw3 : public PieceModel {
 public:
  explicit GptSw3(const SlowFolder& folder)
      : PieceModel(open_sentencepiece(folder, "spiece.model"), pieces_with(RunSpace::kAlways)),
        lower_(folder.flag("do_lower_case", false)) {}

  std::vector<std::string> tokenize(std::string_view given) const override {
    std::string text;
    for (const char32_t c : code_points_of(given)) {
      const bool control = c < 9 || (c > 10 && c < 32) || (c >= 127 && c <= 160) || c == 0xad;
      if (control || c == 0x200b) continue;
      append_utf8(text, is_blank(c) ? U' ' : c);
    }
    Normalized composed(text, 0, false);
    normalize(composed, NormalForm::kNfc);
    return PieceModel::tokenize(composed.text());
  }
  bool lowers_text() const override { return lower_; }

 private:
  static bool is_blank(char32_t c) {
    return c == 0x2002 || c == 0x2003 || c == 0x2005 || (c >= 0x2008 && c <= 0x200a) ||
           c == 0x202f || c == 0x3000 || c == 0xfffc;
  }

  bool lower_;
};

void set_default(TokenizerConfig& config, const char* name, const std::string& text) {
  if (config.options.contains(name)) return;
  TokenizerConfig::Special special;
  special.token = {.content = text, .normalized = false, .special = true};
  special.as_text = true;
  config.specials[name] = std::move(special);
}

}  // namespace

std::unique_ptr<Tokenizer> make_bartpho(const SlowFolder& folder) {
  std::vector<std::string> tokens;
  for (const char* name :
       {"bos_token", "pad_token", "eos_token", "unk_token", "sep_token", "cls_token"}) {
    const std::string token = folder.special(name);
    if (std::find(tokens.begin(), tokens.end(), token) == tokens.end()) tokens.push_back(token);
  }
  for (const std::string& line : read_token_lines(folder.file("dict.txt"))) {
    const auto words = python_split(line);
    if (!words.empty()) tokens.push_back(words[0]);
  }
  const std::string mask = folder.special("mask_token"), sep = folder.special("sep_token");
  if (std::find(tokens.begin(), tokens.end(), mask) == tokens.end()) tokens.push_back(mask);
  Surroundings around{{folder.special("cls_token")}, {sep}};
  around.between = {sep, sep};
  return std::make_unique<SlowTokenizer>(std::make_unique<Bartpho>(folder, tokens), folder,
                                         SlowTokenizer::Added{}, std::move(around));
}

std::unique_ptr<Tokenizer> make_xlm_prophetnet(const SlowFolder& folder) {
  std::vector<std::string> first = {"[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"};
  for (int i = 0; i < 10; ++i) first.push_back("[unused" + std::to_string(i) + "]");
  const std::vector<std::string> sep = {folder.special("sep_token")};
  return std::make_unique<SlowTokenizer>(
      std::make_unique<FairseqPieces>(open_sentencepiece(folder, "prophetnet.tokenizer"), first,
                                      12),
      folder, SlowTokenizer::Added{}, Surroundings{.before = {}, .after = sep, .between = sep});
}

std::unique_ptr<Tokenizer> make_gpt_sw3(const SlowFolder& folder) {
  TokenizerConfig config = folder.config;
  config.clean_up_spaces = false;  // the class has its own, which does nothing
  if (folder.folder.string().find("gpt-sw3-7b") != std::string::npos) {  // as the reference looks
    set_default(config, "pad_token", folder.special("unk_token"));
    set_default(config, "bos_token", folder.special("eos_token"));
  }
  const SlowFolder files{folder.folder, config};
  return std::make_unique<SlowTokenizer>(std::make_unique<GptSw3>(files), files,
                                         SlowTokenizer::Added{}, Surroundings{});
}

}  // namespace tensormill
