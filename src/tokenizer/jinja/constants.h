#pragma once

#include "tokenizer/jinja/ast.h"

namespace tensormill::jinja {

// Jinja computes what consists of constants alone while it compiles, and there a slice of a value
// that has none is undefined and no error. Marks those slices. shown: the expression is one that
// {{ }} prints.
void mark_constant_slices(Expr& expr, bool shown);

}  // namespace tensormill::jinja
