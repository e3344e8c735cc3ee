#pragma once

#include <string_view>

namespace tensormill {

// A tokenizer class of the reference that is not loaded here, whatever files are there.
struct RefusedClass {
  std::string_view name;   // without "Fast"
  std::string_view files;  // those that the reference reads
  std::string_view why;
};

const RefusedClass* find_refused_class(std::string_view name);  // null: not one of them

}  // namespace tensormill
