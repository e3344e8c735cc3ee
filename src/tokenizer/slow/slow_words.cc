#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/slow/listed_words.h"
#include "tokenizer/slow/python_text.h"
#include "tokenizer/slow/slow_models.h"
#include "tokenizer/slow/text_steps.h"
#include "tokenizer/slow/vocabulary_files.h"
#include "tokenizer/slow/word_merges.h"
#include "tokenizer/unicode.h"

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

// Vietnamese words, joined by the caller.
class Phobert : public ListedWords {
 public:
  Phobert(const SlowFolder& folder, const std::vector<std::string>& tokens)
      : ListedWords(folder, tokens),
        merges_(read_merges_file(folder.file("bpe.codes"), MergeLines::kAllEnded)) {}

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

// Lines "word count" behind the four first tokens.
std::unique_ptr<Tokenizer> make_phobert(const SlowFolder& folder) {
  std::vector<std::string> tokens = {folder.special("bos_token"), folder.special("pad_token"),
                                     folder.special("eos_token"), folder.special("unk_token")};
  const auto lines = read_token_lines(folder.file("vocab.txt"));
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string_view line = python_strip(lines[i]);
    const size_t end = line.rfind(' ');
    if (end == std::string_view::npos) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: line {}: expected a word and its count",
                  folder.file("vocab.txt").string(), i + 1);
    }
    tokens.emplace_back(line.substr(0, end));
  }
  const std::string sep = folder.special("sep_token");
  Surroundings around{{folder.special("cls_token")}, {sep}};
  around.between = {sep, sep};
  return std::make_unique<SlowTokenizer>(std::make_unique<Phobert>(folder, tokens), folder,
                                         SlowTokenizer::Added{}, std::move(around));
}

}  // namespace tensormill
