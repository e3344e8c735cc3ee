#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tensormill {

enum class TruncationStrategy { kLongestFirst, kOnlyFirst, kOnlySecond };

// How a text with too many tokens is cut into pieces; as tokenizer.json's "truncation".
struct Truncation {
  int64_t max_length = 512;  // tokens of a piece, with those that the post-processor adds
  int64_t stride = 0;        // tokens that a piece shares with the one before it
  TruncationStrategy strategy = TruncationStrategy::kLongestFirst;
  bool from_left = false;  // the first piece is the end of the text
};

struct EncodeRequest {
  std::string_view text;                                // valid UTF-8
  std::optional<std::string_view> pair = std::nullopt;  // the second text of a pair
  bool add_special = true;  // apply the post-processor's special tokens (BOS, [SEP] ...)
  bool details = false;     // fill all of Encoding, not only ids and type_ids
  std::optional<Truncation> truncation = std::nullopt;  // none: all tokens in one piece
};

// Tokens of one text or a pair. All vectors that are filled have one entry for each token.
struct Encoding {
  std::vector<int32_t> ids;
  std::vector<int32_t> type_ids;  // 0 or 1: which text, as the post-processor has it

  // With EncodeRequest::details, else empty.
  std::vector<std::string> tokens;  // as in the vocabulary
  // Begin and end of each token in its own text, in code points; (0, 0) for tokens that the
  // post-processor added.
  std::vector<std::pair<int32_t, int32_t>> offsets;
  std::vector<int32_t> words;      // number of the pre-tokenizer's piece in its text; -1: none
  std::vector<int32_t> sequences;  // 0: in the text, 1: in the pair, -1: added
  std::vector<uint8_t> special;    // 1: added by the post-processor

  std::vector<Encoding> overflowing;  // the other pieces of a truncated text, in order
};

// Appends `next`. Where either has overflowing pieces, each is combined with the other's, in the
// reference's order.
void append_encoding(Encoding& encoding, Encoding next);

// Cuts one or two encodings to `max_length` tokens together. kBadRequest where the strategy or the
// stride doesn't fit.
void truncate_encodings(std::vector<Encoding>& encodings, const Truncation& truncation);

}  // namespace tensormill
