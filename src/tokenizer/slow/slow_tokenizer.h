#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "tokenizer/decoders/decoder.h"
#include "tokenizer/slow/classes.h"
#include "tokenizer/text_trie.h"

namespace tensormill {

// What a slow class of the reference adds to the base class of all of them. Immutable and
// thread-safe after loading.
class SlowModel {
 public:
  virtual ~SlowModel() = default;

  // The tokens of a text between added tokens.
  virtual std::vector<std::string> tokenize(std::string_view text) const = 0;
  virtual int32_t size() const = 0;      // vocab_size
  virtual int32_t token_count() const {  // different tokens of get_vocab()
    return size();
  }
  virtual int32_t id_bound() const { return size(); }
  // Of the vocabulary alone; then what any other token is, nullopt: nothing.
  virtual std::optional<int32_t> find(std::string_view token) const = 0;
  virtual std::optional<int32_t> unknown_id() const { return std::nullopt; }
  virtual std::string token(int32_t id) const = 0;
  // The steps from a sequence's tokens to its text: convert_tokens_to_string(). Outlived by the
  // sets. skips_special: tokens of `specials` don't come.
  struct DecodeContext {
    const std::unordered_set<std::string>& specials;
    const std::unordered_map<std::string, int32_t>& added;
    bool skips_special;
  };
  virtual void add_steps(DecodeSteps& steps, const DecodeContext& context) const = 0;
  // Texts at which a text is cut besides the added tokens.
  virtual std::vector<std::string> cuts() const { return {}; }
  // The base class lower-cases all but special tokens before it looks for added ones.
  virtual bool lowers_text() const { return false; }
};

// Around each text, as tokens.
struct Surroundings {
  std::vector<std::string> before, after;
  bool once = false;  // `after` isn't added to a text that ends with it
  // Between the texts of a pair, and behind the second one where that isn't `after`.
  std::vector<std::string> between = {};
  std::optional<std::vector<std::string>> after_pair = std::nullopt;
  bool types = false;  // the second text and what is behind it have type 1
};

// A tokenizer that works as the reference's Python classes do: added tokens are cut out first, the
// class does the rest. The reference has no offsets for these: (0, 0) for all tokens.
class SlowTokenizer : public Tokenizer {
 public:
  using Added = std::vector<std::pair<int64_t, AddedToken>>;
  // preset: added tokens that the class has by itself. The files' and the special ones come after.
  SlowTokenizer(std::unique_ptr<SlowModel> model, const SlowFolder& folder, const Added& preset,
                const Surroundings& around);

  using Tokenizer::encode;
  Encoding encode(const EncodeRequest& request) const override;
  std::string decode(std::span<const int32_t> ids, bool skip_special) const override;
  std::unique_ptr<IncrementalDecoder> start_decoding(bool skip_special) const override;
  int32_t vocabulary_size() const override;
  std::optional<int32_t> id_of(std::string_view token) const override;
  std::string token(int32_t id) const override;
  bool is_special(int32_t id) const override;
  std::string special(std::string_view name) const override;

 private:
  class Stream;
  Encoding encode_plain(std::string_view text) const;
  // Puts together one text, or two, and the tokens of the class.
  Encoding join(const Encoding& text, const Encoding* pair, const EncodeRequest& request) const;
  void add_around(const std::vector<int32_t>& tokens, int32_t type, Encoding& encoding) const;
  void add_text(const Encoding& text, int32_t number, Encoding& encoding) const;
  void add_specials(const TokenizerConfig& config);
  void add(const AddedToken& token);
  std::string lowered(std::string_view text) const;
  std::vector<std::string_view> split(std::string_view text) const;
  void strip_beside_tokens(std::vector<std::string>& parts) const;
  int32_t id_of_token(const std::string& token) const;

  std::unique_ptr<SlowModel> model_;
  std::unordered_map<std::string, int32_t> ids_;  // added tokens
  std::unordered_map<int32_t, AddedToken> added_;
  std::unordered_set<std::string> specials_, apart_;  // apart_: texts of their own when decoded
  std::unordered_set<int32_t> special_ids_;
  std::map<std::string, std::string, std::less<>> names_;
  TextTrie trie_;
  std::vector<std::string> kept_case_;  // texts that lowered() leaves
  std::vector<int32_t> before_, after_, between_, after_pair_;
  bool once_ = false, types_ = false, clean_up_ = false, splits_special_ = false;
  int32_t new_tokens_ = 0, bound_ = 0;
};

}  // namespace tensormill
