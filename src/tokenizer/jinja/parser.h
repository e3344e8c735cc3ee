#pragma once

#include <string_view>

#include "tokenizer/jinja/ast.h"

namespace tensormill::jinja {

// Errors: kArtifactInvalid with line and column; names of filters and tests are checked here too.
Program parse(std::string_view source);

}  // namespace tensormill::jinja
