#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "base/thread_team.h"
#include "models/model.h"
#include "tokenizer/tokenizer.h"

namespace tensormill {

// A text cut into windows that are scored each on its own.
struct TextWindows {
  std::vector<std::vector<int32_t>> windows;
  int32_t added = 0;        // tokens that the tokenizer puts before a text (BOS); each has them
  int64_t text_tokens = 0;  // tokens of the text itself
};

// The text is tokenized as a whole. Each window is what the tokenizer puts before a text and then
// the next tokens, `context` in all, without overlap; the last one may be shorter. A window of
// which nothing would be scored is left out. Errors: kBadRequest for text that is no valid UTF-8
// and where `context` leaves no token to score; those of the tokenizer.
TextWindows cut_windows(const Tokenizer& tokenizer, std::string_view text, int32_t context);

struct Loss {
  double sum = 0;      // of -ln p(token | the tokens of its window before it)
  int64_t scored = 0;  // tokens; not the first of a window, not those added
  double mean() const { return scored > 0 ? sum / static_cast<double>(scored) : 0; }
};

// Scores windows, at most `chunk` tokens a step, whose logits alone are in memory. Sums in double,
// in the windows' order. `progress` is called after each window with the loss so far. Errors:
// kInternal for logits that are not finite; those of visit_sequences().
Loss text_loss(const Model& model, const TextWindows& text, int32_t chunk, ThreadTeam& team,
               const std::function<void(size_t windows, const Loss&)>& progress = {});

}  // namespace tensormill
