#pragma once

#include "models/gguf_family.h"

namespace tensormill {

// One function for each <family>_gguf.cc.
GgufFamily gpt2_gguf_family();
GgufFamily gpt_neox_gguf_family();
GgufFamily llama_gguf_family();

}  // namespace tensormill
