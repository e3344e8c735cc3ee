#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/models/merge_table.h"
#include "tokenizer/slow/python_text.h"
#include "tokenizer/slow/slow_models.h"
#include "tokenizer/slow/stages.h"
#include "tokenizer/slow/text_steps.h"
#include "tokenizer/slow/vocabulary_files.h"
#include "tokenizer/unicode.h"

namespace tensormill {
namespace {

constexpr size_t kMaxWord = 20000;  // characters; merging takes time by the square

// Tokens by a list, joined by spaces.
class ListedWords : public SlowModel {
 public:
  ListedWords(const SlowFolder& folder, const std::vector<std::string>& tokens) {
    for (const std::string& token : tokens) set(token, static_cast<int32_t>(tokens_.size()));
    set_unknown(folder);
  }
  ListedWords(const SlowFolder& folder, const Json& vocabulary) {
    for (const auto& [token, id] : vocabulary.items()) set(token, id.get<int32_t>());
    set_unknown(folder);
  }

  int32_t size() const override { return static_cast<int32_t>(tokens_.size()); }
  int32_t token_count() const override { return static_cast<int32_t>(ids_.size()); }
  std::optional<int32_t> find(std::string_view token) const override {
    const auto known = ids_.find(std::string(token));
    return known == ids_.end() ? std::nullopt : std::optional(known->second);
  }
  std::optional<int32_t> unknown_id() const override { return find(unknown_); }
  std::string token(int32_t id) const override {
    const auto known = tokens_.find(id);
    return known == tokens_.end() ? unknown_ : known->second;
  }
  void add_steps(DecodeSteps& steps, const DecodeContext&) const override {
    make_space_joiner()->add_steps(steps);
  }

 private:
  void set(const std::string& token, int32_t id) {
    ids_[token] = id;
    tokens_[id] = token;
  }
  void set_unknown(const SlowFolder& folder) { unknown_ = folder.special("unk_token"); }

  std::unordered_map<std::string, int32_t> ids_;
  std::unordered_map<int32_t, std::string> tokens_;
  std::string unknown_;
};

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

// Merges of the words' characters, the last one with "</w>": all places of the pair of lowest rank
// at once, again and again.
class WordMerges {
 public:
  explicit WordMerges(const FileMerges& merges) : table_(merges.size()) {
    for (const auto& [left, right] : merges) {
      const int32_t left_id = intern(left), right_id = intern(right);
      table_.add(left_id, right_id, intern(left + right));
    }
  }

  // The symbols of a word of more than one character; "</w>" behind the last.
  std::vector<std::string> apply(std::string_view word) const {
    struct Symbol {
      int32_t id;
      std::string text;
    };
    std::vector<Symbol> symbols;
    for (size_t at = 0; at < word.size();) {
      const size_t bytes = utf8_length(word[at]);
      std::string text(word.substr(at, bytes));
      at += bytes;
      if (at >= word.size()) text += "</w>";
      symbols.push_back({id_of(text), std::move(text)});
    }
    if (symbols.size() > kMaxWord) {
      throw_error(ErrorKind::kBadRequest, "a word of {} characters, at most {} can be tokenized",
                  symbols.size(), kMaxWord);
    }
    while (symbols.size() > 1) {
      int32_t best = MergeTable::kNone, left = 0, right = 0;
      for (size_t i = 0; i + 1 < symbols.size(); ++i) {
        if (symbols[i].id < 0 || symbols[i + 1].id < 0) continue;
        const int32_t rank = table_.find(symbols[i].id, symbols[i + 1].id);
        if (rank >= best) continue;
        best = rank;
        left = symbols[i].id;
        right = symbols[i + 1].id;
      }
      if (best == MergeTable::kNone) break;
      size_t kept = 0;
      for (size_t i = 0; i < symbols.size(); ++i, ++kept) {
        if (symbols[i].id == left && i + 1 < symbols.size() && symbols[i + 1].id == right) {
          symbols[i].text += symbols[i + 1].text;
          symbols[i].id = table_.id(best);
          if (kept != i) symbols[kept] = std::move(symbols[i]);
          ++i;
        } else if (kept != i) {
          symbols[kept] = std::move(symbols[i]);
        }
      }
      symbols.resize(kept);
    }
    std::vector<std::string> texts;
    for (Symbol& symbol : symbols) texts.push_back(std::move(symbol.text));
    return texts;
  }

 private:
  int32_t intern(const std::string& text) {
    return ids_.emplace(text, static_cast<int32_t>(ids_.size())).first->second;
  }
  int32_t id_of(const std::string& text) const {
    const auto found = ids_.find(text);
    return found == ids_.end() ? -1 : found->second;
  }
  MergeTable table_;
  std::unordered_map<std::string, int32_t> ids_;
};

// The bytes of white space that the text begins with, as the reference's regex library has it:
// U+001C to U+001F are none.
size_t white_space_run(std::string_view text) {
  size_t run = 0;
  for (size_t next = 0; next < text.size(); run = next) {
    if (!is_white_space(next_code_point(text, next))) break;
  }
  return run;
}

// Runs of other characters than white space, each with a line end behind it.
std::vector<std::string> words_with_line_end(std::string_view text) {
  std::vector<std::string> words;
  for (size_t at = 0; at < text.size();) {
    at += white_space_run(text.substr(at));
    size_t end = at;
    while (end < text.size()) {
      size_t next = end;
      if (is_white_space(next_code_point(text, next))) break;
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
      const size_t run = white_space_run(text.substr(at));
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
      : ListedWords(folder, tokens), stages_(make_parts(tree, folder.folder.string())) {}

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
  void add_steps(DecodeSteps& steps, const DecodeContext& context) const override {
    ListedWords::add_steps(steps, context);
    steps.push_back(make_replace_text_step(" ##", ""));
    steps.push_back(make_strip_text_step());
  }

 private:
  Pipeline stages_;
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
