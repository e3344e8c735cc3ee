#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace tensormill {

// How a model numbers a sequence's tokens. Usually a token's position is its slot, on the one axis.
// A model that fills blanks reads the part of the prompt before its first `start` token whole:
// there position 0 is the slot and position 1 is 0. From `start` on it writes: position 0 stays at
// the blank and position 1 counts 1, 2, ... (GLM: arXiv 2103.10360, section 2.3).
struct BlankSpec {
  int32_t start = -1;          // token id; -1: the model fills no blanks
  std::vector<int32_t> masks;  // ids that mark a blank
  bool by_kind =
      false;  // the blank is the first of the first id that occurs; else the first of any
  // Names of tokens whose ids the folder's tokenizer files must give, where config.json has none.
  std::string start_name;
  std::vector<std::string> mask_names;

  bool fills() const { return start >= 0 || !start_name.empty(); }
};

// The places of one sequence's tokens, found once from its prompt.
struct TokenPlaces {
  bool fills = false;
  int32_t context = 0;  // tokens that see each other whole
  int32_t blank = 0;    // position of the blank

  int32_t position(int32_t axis, int32_t slot) const {
    if (!fills || slot < context) return axis == 0 ? slot : 0;
    return axis == 0 ? blank : slot - context + 1;
  }
  int32_t prefix() const { return fills ? context : 0; }
};

// Errors: kBadRequest where the model fills blanks and the prompt has no start or no blank.
TokenPlaces find_places(const BlankSpec& spec, std::span<const int32_t> prompt);

}  // namespace tensormill
