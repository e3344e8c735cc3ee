#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tensormill {

// Reads JSON values one after the other, for texts too large to become a tree. Every method returns
// false (and the scanner is of no use any more) where the text is not what was asked for; it says
// no more than that. The text must be valid UTF-8.
class JsonScanner {
 public:
  explicit JsonScanner(std::string_view text) : text_(text) {}

  bool take(char c);  // a bracket, comma or colon
  bool peek(char c);  // the same without taking it
  bool at_end();      // only white space is left
  // A string; the view holds until the next one is read.
  bool string(std::string_view& out);
  bool integer(int64_t& out);  // of at most 18 digits
  bool number(double& out);    // to the last bit what the reference makes of it
  bool skip_value();  // of well-paired brackets and quotes; more is not checked
  size_t position();  // of the next value

 private:
  void skip_space();
  bool escape(std::string& out);
  bool hex4(uint32_t& out);
  bool skip_string();

  std::string_view text_;
  size_t at_ = 0;
  std::string unescaped_;
};

}  // namespace tensormill
