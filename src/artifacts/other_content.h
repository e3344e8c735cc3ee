#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace tensormill {

// What a file seems to be that is none of weights, as the end of a message: "; it is empty",
// "; it is a pointer of Git LFS ...". Empty: nothing known.
std::string_view other_content(std::span<const std::byte> bytes);

}  // namespace tensormill
