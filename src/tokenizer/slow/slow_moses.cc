#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/slow/listed_words.h"
#include "tokenizer/slow/moses.h"
#include "tokenizer/slow/python_text.h"
#include "tokenizer/slow/text_steps.h"
#include "tokenizer/slow/vocabulary_files.h"
#include "tokenizer/slow/word_merges.h"
#include "tokenizer/unicode.h"

namespace tensormill {
namespace {

std::string in_form(std::string_view text, NormalForm form) {
  Normalized whole(text, 0, false);
  normalize(whole, form);
  return whole.text();
}

// Moses' words, cut by merges.
class MosesWords : public ListedWords {
 public:
  MosesWords(const SlowFolder& folder, std::string_view vocabulary, std::string_view language,
             const MosesOptions& options)
      : ListedWords(folder, read_vocabulary_json(folder.file(vocabulary))),
        language_(language),
        moses_(language, options),
        merges_(read_merges_file(folder.file("merges.txt"), MergeLines::kAllEnded)) {}

  std::vector<std::string> tokenize(std::string_view text) const override {
    return merged(moses_.tokenize(text));
  }
  void add_steps(DecodeSteps& steps, const DecodeContext&) const override {
    steps.push_back(make_replace_text_step("</w>", " "));
    steps.push_back(make_strip_text_step());
  }

 protected:
  std::vector<std::string> words_of(std::string_view text) const {
    return moses_.tokenize(moses_punctuation(text, language_));
  }
  std::vector<std::string> merged(const std::vector<std::string>& words) const {
    std::vector<std::string> tokens;
    for (const std::string& word : words) {
      if (word.empty()) continue;
      for (std::string& part : merges_.apply(word)) tokens.push_back(std::move(part));
    }
    return tokens;
  }

 private:
  std::string language_;
  MosesTokenizer moses_;
  WordMerges merges_;
};

class Xlm : public MosesWords {
 public:
  explicit Xlm(const SlowFolder& folder)
      : MosesWords(folder, "vocab.json", "en", {}),
        plain_(folder.flag("do_lowercase_and_remove_accent", true)) {}

  std::vector<std::string> tokenize(std::string_view text) const override {
    std::vector<std::string> words = words_of(text);
    if (plain_) {
      for (std::string& word : words) word = without_case_and_accents(word);
    }
    return merged(words);
  }
  bool lowers_text() const override { return plain_; }

 private:
  static std::string without_case_and_accents(const std::string& word) {
    std::string bare;
    for (const char32_t c : code_points_of(in_form(python_lower(word), NormalForm::kNfd))) {
      if (!is_python_nonspacing(c)) append_utf8(bare, c);
    }
    return python_lower(bare);
  }

  bool plain_;
};

class Flaubert : public MosesWords {
 public:
  explicit Flaubert(const SlowFolder& folder)
      : MosesWords(folder, "vocab.json", "fr", {}), lower_(folder.flag("do_lowercase", false)) {}

  std::vector<std::string> tokenize(std::string_view given) const override {
    std::string text;
    for (size_t i = 0; i < given.size(); ++i) {
      const bool quote = given.substr(i, 2) == "``" || given.substr(i, 2) == "''";
      text.push_back(quote ? '"' : given[i]);
      if (quote) ++i;
    }
    text = in_form(text, NormalForm::kNfc);
    return merged(words_of(lower_ ? python_lower(text) : text));
  }

 private:
  bool lower_;
};

// From tokens to the text whose words the detokenizer joins.
class WordEndStep : public WholeTokenStep {
 public:
  void finish() override { next().finish(); }

 protected:
  void on_token(const std::string& token) override {
    std::string bare = token, text;
    std::erase(bare, ' ');
    size_t done = 0;
    for (size_t at; (at = bare.find("</w>", done)) != std::string::npos; done = at + 4) {
      text.append(bare, done, at - done).push_back(' ');
    }
    text.append(bare, done);
    next().feed(text);
    next().end_token();
  }
};

constexpr MosesOptions kWritten = {.splits_hyphens = true, .escapes = true};

class BioGpt : public MosesWords {
 public:
  explicit BioGpt(const SlowFolder& folder) : MosesWords(folder, "vocab.json", "en", kWritten) {}
  void add_steps(DecodeSteps& steps, const DecodeContext&) const override {
    steps.push_back(std::make_unique<WordEndStep>());
    steps.push_back(make_moses_detokenizer("en"));
  }
};

struct LanguagePair {
  std::string source, target;
};

// Text in one language to tokens, tokens to text in another.
class Fsmt : public MosesWords {
 public:
  Fsmt(const SlowFolder& folder, const LanguagePair& languages)
      : MosesWords(folder, "vocab-src.json", languages.source, kWritten),
        target_(languages.target),
        back_(folder, read_vocabulary_json(folder.file("vocab-tgt.json"))),
        lower_(folder.flag("do_lower_case", false)) {}

  std::vector<std::string> tokenize(std::string_view text) const override {
    return merged(words_of(lower_ ? python_lower(text) : std::string(text)));
  }
  bool lowers_text() const override { return lower_; }
  int32_t id_bound() const override { return std::max(MosesWords::id_bound(), back_.id_bound()); }
  std::string token(int32_t id) const override { return back_.token(id); }
  void add_steps(DecodeSteps& steps, const DecodeContext&) const override {
    steps.push_back(std::make_unique<WordEndStep>());
    steps.push_back(make_moses_detokenizer(target_));
  }

 private:
  class Target : public ListedWords {
   public:
    using ListedWords::ListedWords;
    std::vector<std::string> tokenize(std::string_view) const override { return {}; }
  };

  std::string target_;
  Target back_;
  bool lower_;
};

LanguagePair read_languages(const SlowFolder& folder) {
  const auto node = folder.config.node().find("langs");
  const auto items = node ? node->items() : std::vector<JsonNode>();
  if (items.size() != 2) {
    throw_error(ErrorKind::kArtifactInvalid,
                "{}: langs: expected two languages, as [\"en\", \"ru\"]", folder.config.file);
  }
  for (const JsonNode& item : items) {
    if (item.text() != "fr" && is_moses_language(item.text())) continue;
    item.fail_unsupported(
        fmt::format("\"{}\" is not supported; supported: de, en, ru", item.text()));
  }
  return {items[0].text(), items[1].text()};
}

std::unique_ptr<Tokenizer> around_xlm(const SlowFolder& folder, std::unique_ptr<SlowModel> model) {
  const std::vector<std::string> sep = {folder.special("sep_token")};
  return std::make_unique<SlowTokenizer>(
      std::move(model), folder, SlowTokenizer::Added{},
      Surroundings{{folder.special("bos_token")}, sep, false, sep, sep, true});
}

}  // namespace

std::unique_ptr<Tokenizer> make_xlm(const SlowFolder& folder) {
  return around_xlm(folder, std::make_unique<Xlm>(folder));
}

std::unique_ptr<Tokenizer> make_flaubert(const SlowFolder& folder) {
  return around_xlm(folder, std::make_unique<Flaubert>(folder));
}

std::unique_ptr<Tokenizer> make_biogpt(const SlowFolder& folder) {
  const std::vector<std::string> sep = {folder.special("sep_token")};
  return std::make_unique<SlowTokenizer>(std::make_unique<BioGpt>(folder), folder,
                                         SlowTokenizer::Added{},
                                         Surroundings{.before = sep, .after = {}, .between = sep});
}

std::unique_ptr<Tokenizer> make_fsmt(const SlowFolder& folder) {
  const std::vector<std::string> sep = {folder.special("sep_token")};
  return std::make_unique<SlowTokenizer>(std::make_unique<Fsmt>(folder, read_languages(folder)),
                                         folder, SlowTokenizer::Added{},
                                         Surroundings{.before = {}, .after = sep, .between = sep});
}

}  // namespace tensormill
