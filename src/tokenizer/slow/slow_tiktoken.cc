#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/slow/slow_models.h"
#include "tokenizer/slow/tiktoken_bpe.h"
#include "tokenizer/unicode.h"

namespace tensormill {
namespace {

constexpr const char* kQwenPattern =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "
    "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
constexpr const char* kGlm4Pattern =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| "
    "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
constexpr int32_t kQwenSpecials = 151643, kQwenExtras = 205;
constexpr const char* kEndOfText = "<|endoftext|>";

std::string in_alphabet(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text.append(byte_character(static_cast<uint8_t>(byte)));
  return text;
}

// Bytes of tokens as text, as far as it is certain.
class ByteText {
 public:
  void add(std::string_view bytes, std::string& out) {
    bytes_.append(bytes);
    flush(bytes_.size() - incomplete_utf8_tail(bytes_), out);
  }
  void finish(std::string& out) { flush(bytes_.size(), out); }

 private:
  void flush(size_t certain, std::string& out) {
    out.append(replace_invalid_utf8(std::string_view(bytes_).substr(0, certain)));
    bytes_.erase(0, certain);
  }
  std::string bytes_;
};

// Qwen's first tokenizer: special tokens are found in the composed text, and all ids are bytes.
class Qwen : public Tokenizer {
 public:
  explicit Qwen(const SlowFolder& folder) : model_(folder.file("qwen.tiktoken"), kQwenPattern) {
    int32_t id = kQwenSpecials;
    for (const char* text : {kEndOfText, "<|im_start|>", "<|im_end|>"}) add(text, id++);
    for (int32_t i = 0; i < kQwenExtras; ++i) add(fmt::format("<|extra_{}|>", i), id++);
    for (const auto& [name, special] : folder.config.specials) {
      if (special) names_[name] = special->token.content;
    }
    names_.try_emplace("eos_token", kEndOfText);
  }

  using Tokenizer::encode;
  // Pairs stand one behind the other; there is nothing between or around them.
  Encoding encode(const EncodeRequest& request) const override {
    std::vector<Encoding> encodings = {encode_one(request.text, 0, request.details)};
    if (request.pair) encodings.push_back(encode_one(*request.pair, 1, request.details));
    if (request.truncation) truncate_encodings(encodings, *request.truncation);
    if (request.pair) append_encoding(encodings[0], std::move(encodings[1]));
    return std::move(encodings[0]);
  }

  std::string decode(std::span<const int32_t> ids, bool skip_special) const override {
    return decode_as_stream(ids, skip_special);
  }

  std::unique_ptr<IncrementalDecoder> start_decoding(bool skip_special) const override {
    return std::make_unique<Stream>(*this, skip_special);
  }
  int32_t vocabulary_size() const override {
    return std::max(model_.id_bound(), kQwenSpecials + 3 + kQwenExtras);
  }
  std::optional<int32_t> id_of(std::string_view token) const override {
    const auto special = ids_.find(std::string(token));
    return special != ids_.end() ? std::optional(special->second) : model_.find(token);
  }
  std::string token(int32_t id) const override {
    return specials_.contains(id) ? specials_.at(id) : in_alphabet(bytes(id));
  }
  bool is_special(int32_t id) const override { return specials_.contains(id); }
  std::string special(std::string_view name) const override {
    const auto found = names_.find(name);
    return found == names_.end() ? "" : found->second;
  }

 private:
  Encoding encode_one(std::string_view text, int32_t number, bool details) const {
    if (const size_t at = find_invalid_utf8(text); at != std::string_view::npos) {
      throw_error(ErrorKind::kBadRequest, "the text is not valid UTF-8 at byte {}", at);
    }
    Normalized composed(text, 0, false);
    normalize(composed, NormalForm::kNfc);
    const std::string& whole = composed.text();
    Encoding encoding;
    std::vector<int32_t>& ids = encoding.ids;
    size_t done = 0;
    for (auto found = trie_.find(whole, 0); found.id >= 0; found = trie_.find(whole, found.end)) {
      model_.encode(std::string_view(whole).substr(done, found.begin - done), ids);
      ids.push_back(found.id);
      done = found.end;
    }
    model_.encode(std::string_view(whole).substr(done), ids);
    // There are no offsets, as the reference has none here.
    encoding.type_ids.assign(ids.size(), number);
    if (!details) return encoding;
    for (const int32_t id : ids) encoding.tokens.push_back(token(id));
    encoding.offsets.assign(ids.size(), {0, 0});
    encoding.words.assign(ids.size(), -1);
    encoding.sequences.assign(ids.size(), number);
    encoding.special.assign(ids.size(), 0);
    return encoding;
  }

  class Stream : public IncrementalDecoder {
   public:
    Stream(const Qwen& tokenizer, bool skip) : tokenizer_(tokenizer), skip_(skip) {}
    void push(int32_t id, std::string& out) override {
      if (id < 0 || (skip_ && id >= kQwenSpecials)) return;
      text_.add(tokenizer_.bytes(id), out);
    }
    void finish(std::string& out) override { text_.finish(out); }

   private:
    const Qwen& tokenizer_;
    bool skip_;
    ByteText text_;
  };

  void add(const std::string& text, int32_t id) {
    ids_[text] = id;
    specials_[id] = text;
    trie_.add(text, id);
  }
  std::string_view bytes(int32_t id) const {
    if (const auto special = specials_.find(id); special != specials_.end()) {
      return special->second;
    }
    const std::string* text = model_.bytes(id);
    return text == nullptr ? std::string_view() : *text;
  }

  TiktokenBpe model_;
  std::unordered_map<std::string, int32_t> ids_;
  std::unordered_map<int32_t, std::string> specials_;
  std::map<std::string, std::string, std::less<>> names_;
  TextTrie trie_;
};

// Tokens are written in the byte alphabet here, so that each is a text.
class Glm4 : public SlowModel {
 public:
  explicit Glm4(const SlowFolder& folder) : model_(folder.file("tokenizer.model"), kGlm4Pattern) {
    for (int32_t id = 0; id < model_.id_bound(); ++id) {
      if (const std::string* text = model_.bytes(id)) ids_[in_alphabet(*text)] = id;
    }
  }

  std::vector<std::string> tokenize(std::string_view text) const override {
    std::vector<int32_t> ids;
    model_.encode(text, ids);
    std::vector<std::string> tokens;
    for (const int32_t id : ids) tokens.push_back(token(id));
    return tokens;
  }
  int32_t size() const override { return model_.size(); }
  int32_t id_bound() const override { return model_.id_bound(); }
  std::optional<int32_t> find(std::string_view token) const override {
    const auto found = ids_.find(std::string(token));
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
  }
  std::string token(int32_t id) const override {
    const std::string* text = model_.bytes(id);
    return text == nullptr ? "" : in_alphabet(*text);
  }
  void add_steps(DecodeSteps& steps, const DecodeContext& context) const override {
    steps.push_back(std::make_unique<Step>(*this, context.added));
  }

 private:
  class Step : public WholeTokenStep {
   public:
    Step(const Glm4& tokens, const std::unordered_map<std::string, int32_t>& added)
        : tokens_(tokens), added_(added) {}
    void finish() override {
      std::string out;
      text_.finish(out);
      next().feed(out);
      next().end_token();
      next().finish();
    }

   protected:
    void on_token(const std::string& token) override {
      std::string out;
      if (added_.contains(token)) {
        text_.finish(out);
        out.append(token);
      } else if (const auto id = tokens_.find(token)) {
        text_.add(*tokens_.model_.bytes(*id), out);
      }
      next().feed(out);
    }

   private:
    const Glm4& tokens_;
    const std::unordered_map<std::string, int32_t>& added_;
    ByteText text_;
  };

  TiktokenBpe model_;
  std::unordered_map<std::string, int32_t> ids_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_qwen(const SlowFolder& folder) {
  return std::make_unique<Qwen>(folder);
}

std::unique_ptr<Tokenizer> make_chatglm4(const SlowFolder& folder) {
  return std::make_unique<SlowTokenizer>(std::make_unique<Glm4>(folder), folder,
                                         SlowTokenizer::Added{},
                                         Surroundings{.before = {"[gMASK]", "<sop>"}, .after = {}});
}

}  // namespace tensormill
