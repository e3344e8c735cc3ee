#pragma once

#include "tokenizer/sentencepiece_model.h"
#include "tokenizer/slow/classes.h"

namespace tensormill {

// Pieces and scores in the order of a class's ids.
using ScoredPieces = std::vector<std::pair<std::string, double>>;

struct SentencePieceOptions {
  int32_t unk_id = 0;
  bool byte_fallback = false;
  bool tab_is_byte = false;  // merges may use a tab where there is only the byte's piece
};

// "model" and "added_tokens" of tokenizer.json: BPE with merges in the order of the scores, or
// Unigram. kUnsupported for models of words or characters.
void set_sentencepiece_model(const SentencePieceModel& model, const ScoredPieces& pieces,
                             const SentencePieceOptions& options, const std::string& file,
                             Json& tree);

}  // namespace tensormill
