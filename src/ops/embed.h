#pragma once

#include "kernels/table.h"

namespace tensormill {

// residual[row] = scale * table[tokens[row]], plus for each axis that has a table
// position_table[axis][positions[axis][row] + position_offset], f32. Tokens and positions are
// trusted to lie inside their tables. Errors: kInternal for sizes, pointers or types that
// contradict each other.
void embed(const KernelTable& kernels, const EmbedArgs& args, Stream stream);

}  // namespace tensormill
