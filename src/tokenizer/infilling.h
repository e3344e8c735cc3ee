#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "tokenizer/encoding.h"
#include "tokenizer/normalizers/normalizer.h"
#include "tokenizer/processors/processor.h"

namespace tensormill {

struct TokenizerConfig;

// Code Llama's way to ask for the text of a gap: the texts before and behind it with tokens around
// them. A request is of that kind when it is a pair, or one text with `fill` in it.
struct Infilling {
  std::string fill;  // "" where no text stands for a gap
  bool has_tokens = true;
  std::unique_ptr<Normalizer> normalizer;
  std::unique_ptr<Processor> special, plain;

  struct Texts {
    std::string before;  // begins with a space
    std::string behind;  // "": what stands before is a text like any other
  };
  // None for another kind of request. kBadRequest for a text with many gaps, or where the files
  // name no tokens to put around the texts.
  std::optional<Texts> texts(const EncodeRequest& request) const;
};

// Null for other classes.
std::unique_ptr<Infilling> make_infilling(
    const TokenizerConfig& config, const std::function<int32_t(const std::string& token)>& id_of);

}  // namespace tensormill
