#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tensormill::jinja {

enum class TokenKind : uint8_t {
  kText,
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind;
  std::string text;
  int line, column;  // from 1
};

// Splits a template as Jinja does with trim_blocks and lstrip_blocks on. Errors: kArtifactInvalid
// with line and column.
std::vector<Token> tokenize(std::string_view source);

[[noreturn]] void syntax_error(int line, int column, std::string_view what);

}  // namespace tensormill::jinja
