#pragma once

#include "tokenizer/json_node.h"

namespace tensormill {

// Where Metaspace puts its replacement before a text.
enum class PrependScheme { kFirst, kNever, kAlways };

// From "prepend_scheme" or the older "add_prefix_space".
PrependScheme prepend_scheme(const JsonNode& node);

}  // namespace tensormill
