#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "tokenizer/json_node.h"
#include "tokenizer/models/model.h"
#include "tokenizer/normalizers/normalizer.h"
#include "tokenizer/pre_tokenized.h"
#include "tokenizer/text_trie.h"

namespace tensormill {

struct AddedToken {
  std::string content;
  bool single_word = false;  // only where no word character is beside it
  bool lstrip = false;       // takes the white space before it with it
  bool rstrip = false;       // and behind it
  bool normalized = true;    // looked for in normalized text, else in the text as given
  bool special = false;

  bool operator==(const AddedToken&) const = default;
};

// {"content": ..., "lstrip": ...}; flags that are absent are false, "normalized" the opposite of
// "special".
AddedToken read_added_token(const JsonNode& node);

// Tokens that are cut out of the text before the model sees it.
class AddedTokens {
 public:
  // Texts that the model or an earlier call knows keep their ids, new ones get the next.
  void add(std::span<const AddedToken> tokens, const TokenModel& model);
  void add(const AddedToken& token, const TokenModel& model) { add(std::span(&token, 1), model); }
  // Special tokens are text like any other when encode() meets them.
  void splits_special(bool splits) { splits_special_ = splits; }
  // After the last add(): builds what split() searches with.
  void finish(const Normalizer* normalizer);

  // Cuts the added tokens out of the text, normalizes the rest.
  void split(PreTokenized& text, const Normalizer* normalizer) const;

  std::optional<int32_t> id_of(std::string_view content) const;
  const AddedToken* token(int32_t id) const;  // null where there is none
  bool is_special(std::string_view content) const {
    return special_texts_.contains(std::string(content));
  }
  int32_t id_bound() const { return id_bound_; }

 private:
  void split_piece(const Piece& piece, const TextTrie& trie, std::vector<Piece>& out) const;

  std::unordered_map<std::string, int32_t> ids_;
  std::unordered_map<int32_t, AddedToken> tokens_;
  // As they were added, special ones once. Of two tokens that normalizing makes equal, the first of
  // specials_ and then others_ is found.
  std::vector<AddedToken> specials_, others_;
  std::unordered_set<std::string> special_texts_;
  TextTrie verbatim_, normalized_;
  int32_t id_bound_ = 0;
  bool splits_special_ = false;
};

}  // namespace tensormill
