#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/slow/listed_words.h"
#include "tokenizer/slow/python_text.h"
#include "tokenizer/slow/slow_models.h"
#include "tokenizer/slow/stages.h"
#include "tokenizer/slow/text_steps.h"
#include "tokenizer/slow/vocabulary_files.h"
#include "tokenizer/slow/word_merges.h"

namespace tensormill {
namespace {

class Esm : public ListedWords {
 public:
  Esm(const SlowFolder& folder, std::vector<std::string> tokens)
      : ListedWords(folder, tokens), cuts_(std::move(tokens)) {}
  std::vector<std::string> tokenize(std::string_view text) const override {
    return python_split(text);
  }
  std::vector<std::string> cuts() const override { return cuts_; }

 private:
  std::vector<std::string> cuts_;
};

// Runs of other characters than white space, each with a line end behind it.
std::vector<std::string> words_with_line_end(std::string_view text) {
  std::vector<std::string> words;
  for (size_t at = 0; at < text.size();) {
    at += python_strip_left(text.substr(at));
    size_t end = at;
    while (end < text.size()) {
      size_t next = end;
      if (is_python_space(next_code_point(text, next))) break;
      end = next;
    }
    if (end == at) break;
    if (end < text.size() && text[end] == '\n') ++end;
    words.emplace_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

// Merged parts of a word with "@@" behind all but the last.
void add_parts(const WordMerges& merges, const std::string& word,
               std::vector<std::string>& tokens) {
  if (utf8_length(word[0]) == word.size()) {
    tokens.push_back(word);
    return;
  }
  std::vector<std::string> parts = merges.apply(word);
  for (size_t i = 0; i + 1 < parts.size(); ++i) tokens.push_back(parts[i] + "@@");
  parts.back().resize(parts.back().size() - 4);
  tokens.push_back(std::move(parts.back()));
}

class Ctrl : public ListedWords {
 public:
  explicit Ctrl(const SlowFolder& folder)
      : ListedWords(folder, read_vocabulary_json(folder.file("vocab.json"))),
        merges_(read_merges_file(folder.file("merges.txt"), MergeLines::kInner)) {}

  std::vector<std::string> tokenize(std::string_view text) const override {
    std::vector<std::string> tokens;
    for (const std::string& word : words_with_line_end(text)) add_parts(merges_, word, tokens);
    return tokens;
  }
  void add_steps(DecodeSteps& steps, const DecodeContext& context) const override {
    ListedWords::add_steps(steps, context);
    steps.push_back(make_replace_text_step("@@ ", ""));
    steps.push_back(make_strip_text_step());
  }

 protected:
  const WordMerges& merges() const { return merges_; }

 private:
  WordMerges merges_;
};

class BlenderbotSmall : public Ctrl {
 public:
  using Ctrl::Ctrl;

  std::vector<std::string> tokenize(std::string_view text) const override {
    std::vector<std::string> tokens;
    for (const std::string& word : words_with_line_end(text)) {
      std::string spaced;
      for (const char c : word) {
        if (std::string_view(".,!?()").find(c) != std::string_view::npos) spaced.push_back(' ');
        if (c == '\'') {
          spaced.append(" ' ");
        } else {
          spaced.push_back(c);
        }
      }
      add_word_parts(collapse_spaces(spaced), tokens);
    }
    return tokens;
  }

 private:
  // Runs of white space become a space, a line end a token of its own.
  static std::string collapse_spaces(std::string_view text) {
    std::string result;
    for (size_t at = 0; at < text.size();) {
      const size_t run = python_strip_left(text.substr(at));
      const size_t characters = count_code_points(text.substr(at, run));
      if (characters >= 2) {
        result.push_back(' ');
      } else if (text.substr(at, run) == "\n") {
        result.append(" __newln__");
      } else {
        result.append(text.substr(at, run));
      }
      at += run;
      if (at == text.size()) break;
      const size_t bytes = utf8_length(text[at]);
      result.append(text.substr(at, bytes));
      at += bytes;
    }
    return result;
  }

  void add_word_parts(const std::string& text, std::vector<std::string>& tokens) const {
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find(' ', at), text.size());
      if (end > at) add_parts(merges(), python_lower(text.substr(at, end - at)), tokens);
      at = end + 1;
    }
  }
};

// Words and their pieces through the fast stages; what is no word of a dictionary.
class JapaneseBasic : public ListedWords {
 public:
  JapaneseBasic(const SlowFolder& folder, const std::vector<std::string>& tokens, const Json& tree)
      : ListedWords(folder, tokens),
        stages_(make_parts(tree, folder.folder.string())),
        lower_(folder.flag("do_lower_case", false)) {}

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
  bool lowers_text() const override { return lower_; }
  void add_steps(DecodeSteps& steps, const DecodeContext& context) const override {
    ListedWords::add_steps(steps, context);
    steps.push_back(make_replace_text_step(" ##", ""));
    steps.push_back(make_strip_text_step());
  }

 private:
  Pipeline stages_;
  bool lower_;
};

[[noreturn]] void fail_option(const SlowFolder& folder, std::string_view key,
                              std::string_view value, std::string_view expected) {
  throw_error(ErrorKind::kUnsupported, "{}: {}: \"{}\" is not supported; expected {}",
              folder.config.file, key, value, expected);
}

}  // namespace

std::unique_ptr<Tokenizer> make_esm(const SlowFolder& folder) {
  std::vector<std::string> tokens;
  for (const std::string& line : read_token_lines(folder.file("vocab.txt"))) {
    tokens.emplace_back(python_strip(line));
  }
  Surroundings around{{folder.special("cls_token")}, {}};
  if (!folder.special("eos_token").empty()) around.after = {folder.special("eos_token")};
  around.between = around.after;
  return std::make_unique<SlowTokenizer>(std::make_unique<Esm>(folder, std::move(tokens)), folder,
                                         SlowTokenizer::Added{}, std::move(around));
}

std::unique_ptr<Tokenizer> make_ctrl(const SlowFolder& folder) {
  return std::make_unique<SlowTokenizer>(std::make_unique<Ctrl>(folder), folder,
                                         SlowTokenizer::Added{},
                                         Surroundings{.before = {}, .after = {}, .types = true});
}

std::unique_ptr<Tokenizer> make_blenderbot_small(const SlowFolder& folder) {
  return std::make_unique<SlowTokenizer>(std::make_unique<BlenderbotSmall>(folder), folder,
                                         SlowTokenizer::Added{}, Surroundings{});
}

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
  const auto tokens = read_token_lines(folder.file("vocab.txt"));
  Json vocabulary = Json::object();
  for (const std::string& token : tokens) {
    vocabulary[token] = static_cast<int32_t>(vocabulary.size());
  }
  const std::vector<std::string> sep = {folder.special("sep_token")};
  const bool lower = folder.flag("do_lower_case", false);
  const Json tree = {
      {"model",
       {{"type", "WordPiece"},
        {"unk_token", folder.special("unk_token")},
        {"continuing_subword_prefix", "##"},
        {"max_input_chars_per_word", 100},
        {"vocab", std::move(vocabulary)}}},
      {"normalizer",
       sequence_json("normalizers", Json::array({bert_normalizer_json(false, nullptr, lower),
                                                 {{"type", "NFC"}}}))},
      {"pre_tokenizer", {{"type", "BertPreTokenizer"}}}};
  return std::make_unique<SlowTokenizer>(
      std::make_unique<JapaneseBasic>(folder, tokens, tree), folder, SlowTokenizer::Added{},
      Surroundings{{folder.special("cls_token")}, sep, false, sep, sep, true});
}

}  // namespace tensormill
