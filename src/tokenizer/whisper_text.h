#pragma once

#include <memory>

#include "tokenizer/tokenizer.h"

namespace tensormill {

// Whisper's classes do more to decoded text than others: texts that look like times ("<|1.08|>")
// go, and without special tokens a prompt ("<|startofprev|>" to "<|startoftranscript|>") does too.
std::unique_ptr<Tokenizer> with_whisper_text(std::unique_ptr<Tokenizer> tokenizer);

}  // namespace tensormill
