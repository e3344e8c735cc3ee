#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/decoders/decoder.h"
#include "tokenizer/slow/slow_models.h"
#include "tokenizer/slow/text_steps.h"
#include "tokenizer/slow/vocabulary_files.h"

namespace tensormill {
namespace {

std::vector<std::string> split_at_commas(const std::string& line) {
  std::vector<std::string> words;
  size_t begin = 0;
  for (size_t end; (end = line.find(',', begin)) != std::string::npos; begin = end + 1) {
    words.push_back(line.substr(begin, end - begin));
  }
  words.push_back(line.substr(begin));
  return words;
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  if (from.empty() || text.find(from) == std::string::npos) return;
  std::string result;
  size_t done = 0;
  for (size_t at; (at = text.find(from, done)) != std::string::npos; done = at + from.size()) {
    result.append(text, done, at - done).append(to);
  }
  text = result.append(text, done);
}

// Words of up to three characters of the list, of several the one that stands first in it; tokens
// for blanks, emoji, signs and bytes.
class NeoxJapanese : public SlowModel {
 public:
  explicit NeoxJapanese(const SlowFolder& folder) : unknown_(folder.special("unk_token")) {
    read_emoji(folder.file("emoji.json"));
    const auto lines = read_token_lines(folder.file("vocab.txt"));
    for (size_t i = 0; i < lines.size(); ++i) {
      const auto id = static_cast<int32_t>(i);
      const auto words = split_at_commas(lines[i]);
      whole_[lines[i]] = id;
      texts_.push_back(text_of(words[0]));
      for (const std::string& word : words) {
        ids_[word] = id;
        longest_ = std::max(longest_, count_code_points(word));
      }
    }
  }

  std::vector<std::string> tokenize(std::string_view given) const override {
    std::string text(given);
    static constexpr std::pair<const char*, const char*> kBlanks[] = {
        {" ", "<SP>"},  {"\u3000", "<SP>"}, {"\r\n", "<BR>"},     {"\n", "<BR>"},
        {"\r", "<BR>"}, {"\t", "<TAB>"},    {"\u2014", "\u30fc"}, {"\u2212", "\u30fc"}};
    for (const auto& [from, to] : kBlanks) replace_all(text, from, to);
    for (const auto& [from, to] : emoji_) replace_all(text, from, to);
    std::vector<size_t> starts;  // of each character
    for (size_t at = 0; at < text.size(); at += utf8_length(text[at])) starts.push_back(at);
    starts.push_back(text.size());
    std::vector<std::string> tokens;
    for (size_t at = 0; at + 1 < starts.size();) {
      const size_t end = word_end(text, starts, at);
      if (end > at) {
        tokens.push_back(text.substr(starts[at], starts[end] - starts[at]));
        at = end;
      } else {
        add_unlisted(std::string_view(text).substr(starts[at], starts[at + 1] - starts[at]),
                     tokens);
        ++at;
      }
    }
    return tokens;
  }
  int32_t size() const override { return static_cast<int32_t>(whole_.size()); }
  int32_t id_bound() const override { return static_cast<int32_t>(texts_.size()); }
  std::optional<int32_t> find(std::string_view token) const override {
    const auto known = ids_.find(std::string(token));
    return known == ids_.end() ? std::nullopt : std::optional(known->second);
  }
  std::optional<int32_t> unknown_id() const override { return find(unknown_); }
  std::string token(int32_t id) const override {
    return id >= 0 && static_cast<size_t>(id) < texts_.size() ? texts_[static_cast<size_t>(id)]
                                                              : "";
  }
  void add_steps(DecodeSteps& steps, const DecodeContext&) const override {
    steps.push_back(make_strip_text_step());
  }

 private:
  void read_emoji(const std::filesystem::path& file) {
    const Json checked = read_json_file(file);
    const JsonNode root(checked, file.string());
    for (const char* key : {"emoji", "emoji_inv"}) {
      for (const auto& [name, value] : root.at(key).value().items())
        (void)root.at(key).at(name).text();
    }
    // In the file's order: a longer sequence may stand before what it begins with.
    const auto json = OrderedJson::parse(read_json_text(file));
    for (const auto& [from, to] : json["emoji"].items()) {
      emoji_.emplace_back(from, to.get<std::string>());
    }
    for (const auto& [name, text] : json["emoji_inv"].items())
      back_[name] = text.get<std::string>();
  }

  // What a word of the list is in a text.
  std::string text_of(const std::string& word) const {
    if (word.starts_with("<|byte") && word.ends_with("|>")) {
      int byte = 0;
      std::from_chars(word.data() + 6, word.data() + word.size() - 2, byte);
      return byte < 128 ? std::string(1, static_cast<char>(byte)) : "\ufffd";
    }
    if (word.starts_with("<|emoji") && word.ends_with("|>")) {
      const auto found = back_.find(word);
      return found == back_.end() ? "" : found->second;
    }
    static constexpr std::pair<const char*, const char*> kTexts[] = {
        {"<SP>", " "},         {"<BR>", "\n"},        {"<TAB>", "\t"},
        {"<BLOCK>", "\u2580"}, {"<KIGOU>", "\u01c0"}, {"<U2000U2BFF>", "\u2016"}};
    for (const auto& [name, text] : kTexts) {
      if (word == name) return text;
    }
    return word;
  }

  // The end of the word that begins at character `at`; `at`: there is none.
  size_t word_end(const std::string& text, const std::vector<size_t>& starts, size_t at) const {
    const bool tag = text[starts[at]] == '<';
    const size_t characters = starts.size() - 1;
    size_t best = at;
    int32_t best_id = 0;
    for (size_t end = std::min(characters, at + (tag ? longest_ + 1 : 3)); end > at; --end) {
      const auto known = ids_.find(text.substr(starts[at], starts[end] - starts[at]));
      if (known == ids_.end()) continue;
      if (tag && end - at > 2) return end;
      if (best != at && known->second >= best_id) continue;
      best = end;
      best_id = known->second;
    }
    return best;
  }

  static void add_unlisted(std::string_view character, std::vector<std::string>& tokens) {
    uint32_t bytes = 0;
    for (const char byte : character) bytes = bytes << 8 | static_cast<uint8_t>(byte);
    const auto in = [bytes](uint32_t first, uint32_t last) {
      return bytes >= first && bytes <= last;
    };
    const bool sign = character.size() == 2 && (in(0xc2a1, 0xc2bf) || in(0xc780, 0xc783) ||
                                                in(0xcab9, 0xcbbf) || in(0xcc80, 0xcda2));
    if (sign) {
      tokens.emplace_back("<KIGOU>");
    } else if (character.size() == 3 && in(0xe28080, 0xe2b07f)) {
      tokens.emplace_back("<U2000U2BFF>");
    } else {
      for (const char byte : character) {
        tokens.push_back(fmt::format("<|byte{}|>", static_cast<uint8_t>(byte)));
      }
    }
  }

  std::unordered_map<std::string, int32_t> ids_, whole_;  // whole_: lines as they stand
  std::vector<std::string> texts_;                        // by id
  std::vector<std::pair<std::string, std::string>> emoji_;
  std::unordered_map<std::string, std::string> back_;
  std::string unknown_;
  size_t longest_ = 0;
};

}  // namespace

std::unique_ptr<Tokenizer> make_gpt_neox_japanese(const SlowFolder& folder) {
  if (folder.flag("do_clean_text", false)) {
    throw_error(ErrorKind::kUnsupported,
                "{}: do_clean_text: tags for addresses, dates and prices are not supported; "
                "expected false",
                folder.config.file);
  }
  return std::make_unique<SlowTokenizer>(std::make_unique<NeoxJapanese>(folder), folder,
                                         SlowTokenizer::Added{}, Surroundings{});
}

}  // namespace tensormill
