#pragma once

#include <memory>
#include <string>

#include "tokenizer/decoders/decoder.h"

namespace tensormill {

// Steps over a sequence's text as a whole, whatever its tokens: they end a token only at the end.
// They hold back no more than what may still change.

// `from` becomes `to` wherever it stands, over the borders of tokens too.
std::unique_ptr<DecodeStep> make_replace_text_step(std::string from, std::string to);
// Python's str.strip(): no white space at either end.
std::unique_ptr<DecodeStep> make_strip_text_step();
// clean_up_tokenization_spaces within a class's own text.
std::unique_ptr<DecodeStep> make_clean_up_step();

// What `inner` gives, then `from` replaced and the ends stripped.
std::unique_ptr<Decoder> make_word_end_decoder(std::unique_ptr<Decoder> inner, std::string from,
                                               std::string to);

}  // namespace tensormill
