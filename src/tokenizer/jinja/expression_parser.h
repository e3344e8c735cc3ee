#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/jinja/ast.h"
#include "tokenizer/jinja/lexer.h"

namespace tensormill::jinja {

// Tokens with one of look-ahead; stays at kEnd.
class TokenStream {
 public:
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& peek() const { return tokens_[at_]; }
  const Token& after() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  const Token& next() { return at_ + 1 < tokens_.size() ? tokens_[at_++] : tokens_[at_]; }
  bool at_end() const { return peek().kind == TokenKind::kEnd; }

  bool is_operator(std::string_view text) const { return is(TokenKind::kOperator, text); }
  bool is_name(std::string_view text) const { return is(TokenKind::kName, text); }
  bool skip_operator(std::string_view text) { return is_operator(text) && (next(), true); }
  bool skip_name(std::string_view text) { return is_name(text) && (next(), true); }
  const Token& expect(TokenKind kind, std::string_view what);
  void expect_operator(std::string_view text);
  void expect_name(std::string_view text);
  [[noreturn]] void fail(const std::string& what) const;

 private:
  bool is(TokenKind kind, std::string_view text) const {
    return peek().kind == kind && peek().text == text;
  }

  std::vector<Token> tokens_;
  size_t at_ = 0;
};

// Expressions with the precedence that Jinja gives them.
class ExpressionParser {
 public:
  ExpressionParser(TokenStream& stream, Names& names) : stream_(stream), names_(names) {}

  // Which of the names that loops and macros give were read since this was last cleared.
  struct Mentions {
    bool loop = false, caller = false, varargs = false, kwargs = false;
  };
  Mentions mentions;

  ExprPtr expression(bool with_condition = true);
  // Fails where an expression has an unknown filter or test; jinja lets those in branches of
  // conditions be.
  void check_known(const Expr& expr) const;
  // One expression, or several with commas between them as a tuple.
  ExprPtr tuple(bool with_condition);
  // "| name(...)" and so on after `value`; null: the text of a block. named_first: the first
  // filter stands without its "|".
  ExprPtr filters(ExprPtr value, bool named_first);

 private:
  ExprPtr make(ExprKind kind, std::string text = {}) const;
  ExprPtr finish(ExprPtr expr) const;  // checks the depth
  ExprPtr join(ExprKind kind, ExprPtr left, ExprPtr right) const;
  ExprPtr binary(std::initializer_list<std::pair<std::string_view, Operator>> operators,
                 ExprPtr (ExpressionParser::*operand)());
  ExprPtr name();
  ExprPtr either();
  ExprPtr both();
  ExprPtr negation();
  ExprPtr comparison();
  ExprPtr sum();
  ExprPtr concatenation();
  ExprPtr product();
  ExprPtr power();
  ExprPtr filtered_unary();
  ExprPtr unary(bool with_filter);
  ExprPtr primary();
  ExprPtr integer();
  ExprPtr floating();
  ExprPtr list();
  ExprPtr dict();
  ExprPtr postfix(ExprPtr value);
  ExprPtr subscript(ExprPtr value);
  ExprPtr test(ExprPtr value);
  std::string dotted_name(std::string_view what);
  void arguments(Expr& call);

  TokenStream& stream_;
  Names& names_;
  int nesting_ = 0;
};

}  // namespace tensormill::jinja
