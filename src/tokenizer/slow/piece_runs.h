#pragma once

#include "tokenizer/slow/sentencepiece.h"
#include "tokenizer/slow/slow_tokenizer.h"

namespace tensormill {

// How classes put special tokens between texts that SentencePiece decodes. A space may stand before
// a text that a special token ends; then nothing of the text is certain before that.
enum class RunSpace { kNever, kAlways, kNotFirst };

struct PieceRunOptions {
  RunSpace space = RunSpace::kNever;
  std::string behind_special;  // follows each special token
};

// Pieces between special tokens to their texts. The model must outlive the step.
std::unique_ptr<DecodeStep> make_piece_runs(const SentencePiece& model,
                                            const SlowModel::DecodeContext& context,
                                            const PieceRunOptions& options);

}  // namespace tensormill
