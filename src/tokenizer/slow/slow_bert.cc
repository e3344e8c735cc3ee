#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/slow/listed_words.h"
#include "tokenizer/slow/python_text.h"
#include "tokenizer/slow/stages.h"
#include "tokenizer/slow/text_steps.h"
#include "tokenizer/slow/vocabulary_files.h"

namespace tensormill {
namespace {

// BERT's words and their pieces through the fast stages.
class BertPieces : public ListedWords {
 public:
  BertPieces(const SlowFolder& folder, const std::vector<std::string>& tokens, const Json& tree,
             bool lowers_text)
      : ListedWords(folder, tokens),
        stages_(make_parts(tree, folder.folder.string())),
        lowers_text_(lowers_text) {}

  std::vector<std::string> tokenize(std::string_view given) const override {
    std::vector<std::string> tokens;
    std::string text;
    for (size_t at = 0; at < given.size();) {
      const size_t begin = at;
      const char32_t c = next_code_point(given, at);
      const bool kept = c == '\t' || c == '\n' || c == '\r' || !is_python_other(c);
      if (kept) text.append(given.substr(begin, at - begin));
    }
    for (const int32_t id : stages_.encode(text, false).ids) tokens.push_back(stages_.token(id));
    return tokens;
  }
  bool lowers_text() const override { return lowers_text_; }
  void add_steps(DecodeSteps& steps, const DecodeContext& context) const override {
    ListedWords::add_steps(steps, context);
    steps.push_back(make_replace_text_step(" ##", ""));
    steps.push_back(make_strip_text_step());
  }

 private:
  Pipeline stages_;
  bool lowers_text_;
};

[[noreturn]] void fail_option(const SlowFolder& folder, std::string_view key,
                              std::string_view value, std::string_view expected) {
  throw_error(ErrorKind::kUnsupported, "{}: {}: \"{}\" is not supported; expected {}",
              folder.config.file, key, value, expected);
}

struct BertOptions {
  bool lower, chinese;
  Json strip_accents;
  bool lowers_text;  // the base class does so too
};

std::unique_ptr<SlowModel> bert_pieces(const SlowFolder& folder, std::string_view file,
                                       const BertOptions& options) {
  const auto tokens = read_token_lines(folder.file(file));
  Json vocabulary = Json::object();
  for (size_t id = 0; id < tokens.size(); ++id) vocabulary[tokens[id]] = id;
  const Json tree = {
      {"model",
       {{"type", "WordPiece"},
        {"unk_token", folder.special("unk_token")},
        {"continuing_subword_prefix", "##"},
        {"max_input_chars_per_word", 100},
        {"vocab", std::move(vocabulary)}}},
      {"normalizer",
       sequence_json("normalizers",
                     Json::array({{{"type", "NFC"}},
                                  bert_normalizer_json(options.chinese, options.strip_accents,
                                                       options.lower)}))},
      {"pre_tokenizer", {{"type", "BertPreTokenizer"}}}};
  return std::make_unique<BertPieces>(folder, tokens, tree, options.lowers_text);
}

}  // namespace

std::unique_ptr<Tokenizer> make_bert_japanese(const SlowFolder& folder) {
  const std::string words = folder.text("word_tokenizer_type", "basic");
  if (words != "basic" && folder.flag("do_word_tokenize", true)) {
    fail_option(folder, "word_tokenizer_type", words,
                "basic: MeCab, Sudachi and Juman++ with their dictionaries are not built in");
  }
  const std::string parts = folder.text("subword_tokenizer_type", "wordpiece");
  if (parts != "wordpiece") fail_option(folder, "subword_tokenizer_type", parts, "wordpiece");
  for (const char* key : {"do_word_tokenize", "do_subword_tokenize"}) {
    if (!folder.flag(key, true)) fail_option(folder, key, "false", "true");
  }
  const std::vector<std::string> sep = {folder.special("sep_token")};
  const bool lower = folder.flag("do_lower_case", false);
  return std::make_unique<SlowTokenizer>(
      bert_pieces(
          folder, "vocab.txt",
          {.lower = lower, .chinese = false, .strip_accents = nullptr, .lowers_text = lower}),
      folder, SlowTokenizer::Added{},
      Surroundings{{folder.special("cls_token")}, sep, false, sep, sep, true});
}

std::unique_ptr<Tokenizer> make_prophetnet(const SlowFolder& folder) {
  if (!folder.flag("do_basic_tokenize", true)) {
    fail_option(folder, "do_basic_tokenize", "false", "true");
  }
  const auto accents = folder.config.node().find("strip_accents");
  const BertOptions options = {.lower = folder.flag("do_lower_case", true),
                               .chinese = folder.flag("tokenize_chinese_chars", true),
                               .strip_accents = accents ? Json(accents->flag()) : Json(nullptr),
                               .lowers_text = false};
  const std::vector<std::string> sep = {folder.special("sep_token")};
  return std::make_unique<SlowTokenizer>(bert_pieces(folder, "prophetnet.tokenizer", options),
                                         folder, SlowTokenizer::Added{},
                                         Surroundings{.before = {}, .after = sep, .between = sep});
}

}  // namespace tensormill
