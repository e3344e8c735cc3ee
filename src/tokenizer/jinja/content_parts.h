#pragma once

#include "tokenizer/jinja/ast.h"

namespace tensormill::jinja {

// Whether a template takes the content of a message apart where it is a list: it loops over it,
// filters its items or looks for the text of one of them.
bool reads_content_parts(const Program& program);

}  // namespace tensormill::jinja
