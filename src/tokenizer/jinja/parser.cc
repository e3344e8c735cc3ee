#include "tokenizer/jinja/parser.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>

#include "tokenizer/jinja/expression_parser.h"
#include "tokenizer/jinja/lexer.h"

namespace tensormill::jinja {
namespace {

constexpr int kMaxBlockDepth = 100;

class Parser {
 public:
  explicit Parser(std::string_view source) : stream_(tokenize(source)), expressions_(stream_) {}

  Block parse_all() {
    Block block = parse_until({});
    if (!stream_.at_end()) stream_.fail("unexpected tag");
    return block;
  }

 private:
  // Statements up to a tag that begins with one of `ends`, which stays unread behind its "{%".
  Block parse_until(std::initializer_list<std::string_view> ends) {
    if (++depth_ > kMaxBlockDepth) stream_.fail("blocks nested too deep");
    Block block;
    while (!stream_.at_end()) {
      const Token& token = stream_.peek();
      if (token.kind == TokenKind::kText) {
        auto text = make(StmtKind::kText);
        text->text = stream_.next().text;
        block.push_back(std::move(text));
      } else if (token.kind == TokenKind::kVariableBegin) {
        auto output = make(StmtKind::kOutput);
        stream_.next();
        output->value = expressions_.tuple(true);
        stream_.expect(TokenKind::kVariableEnd, "end of print statement");
        block.push_back(std::move(output));
      } else {
        stream_.expect(TokenKind::kBlockBegin, "a tag");
        if (is_end(ends)) break;
        block.push_back(statement());
      }
    }
    --depth_;
    return block;
  }

  bool is_end(std::initializer_list<std::string_view> ends) const {
    const Token& token = stream_.peek();
    return token.kind == TokenKind::kName &&
           std::find(ends.begin(), ends.end(), token.text) != ends.end();
  }

  std::unique_ptr<Stmt> make(StmtKind kind) const {
    auto stmt = std::make_unique<Stmt>();
    stmt->kind = kind;
    stmt->line = stream_.peek().line;
    return stmt;
  }

  void end_tag() { stream_.expect(TokenKind::kBlockEnd, "'%}'"); }

  // The body of a tag that is already read, up to and with its end tag.
  Block body(std::string_view end) {
    end_tag();
    Block block = parse_until({end});
    stream_.expect_name(end);
    end_tag();
    return block;
  }

  std::unique_ptr<Stmt> statement() {
    const Token& token = stream_.peek();
    if (token.kind != TokenKind::kName) stream_.fail("tag name expected");
    const std::string name = token.text;
    if (name == "if") return if_statement();
    if (name == "for") return for_statement();
    if (name == "set") return set_statement();
    if (name == "macro") return macro_statement();
    if (name == "call") return call_statement();
    if (name == "with") return with_statement();
    if (name == "filter") {
      auto stmt = make(StmtKind::kFilter);
      stream_.next();
      stmt->value = expressions_.filters(nullptr, true);
      stmt->body = body("endfilter");
      return stmt;
    }
    if (name == "generation") {
      auto stmt = make(StmtKind::kScope);
      stream_.next();
      stmt->body = body("endgeneration");
      return stmt;
    }
    if (name == "break" || name == "continue") {
      if (loops_ == 0) stream_.fail("'" + name + "' outside of a loop");
      auto stmt = make(name == "break" ? StmtKind::kBreak : StmtKind::kContinue);
      stream_.next();
      end_tag();
      return stmt;
    }
    stream_.fail("unknown tag '" + name + "'");
  }

  std::unique_ptr<Stmt> if_statement() {
    auto stmt = make(StmtKind::kIf);
    if (++depth_ > kMaxBlockDepth) stream_.fail("blocks nested too deep");
    stream_.next();
    stmt->condition = expressions_.tuple(true);
    end_tag();
    stmt->body = parse_until({"elif", "else", "endif"});
    if (stream_.peek().text == "elif") {
      stmt->otherwise.push_back(if_statement());
    } else {
      const bool has_else = stream_.peek().text == "else";
      if (has_else) {
        stream_.next();
        end_tag();
        stmt->otherwise = parse_until({"endif"});
      }
      stream_.expect_name("endif");
      end_tag();
    }
    --depth_;
    return stmt;
  }

  std::unique_ptr<Stmt> for_statement() {
    auto stmt = make(StmtKind::kFor);
    stream_.next();
    stmt->target = target(false);
    stream_.expect_name("in");
    stmt->value = expressions_.tuple(false);
    if (stream_.is_name("recursive")) stream_.fail("recursive loops are not supported");
    if (stream_.skip_name("if")) stmt->condition = expressions_.expression();
    end_tag();
    ++loops_;
    stmt->body = parse_until({"endfor", "else"});
    --loops_;
    if (stream_.skip_name("else")) {
      end_tag();
      stmt->otherwise = parse_until({"endfor"});
    }
    stream_.expect_name("endfor");
    end_tag();
    return stmt;
  }

  std::unique_ptr<Stmt> set_statement() {
    auto stmt = make(StmtKind::kSet);
    stream_.next();
    stmt->target = target(true);
    if (stream_.skip_operator("=")) {
      stmt->value = expressions_.tuple(true);
      end_tag();
      return stmt;
    }
    stmt->kind = StmtKind::kSetBlock;
    if (stream_.is_operator("|")) stmt->value = expressions_.filters(nullptr, false);
    stmt->body = body("endset");
    return stmt;
  }

  std::vector<std::pair<std::string, ExprPtr>> parameters() {
    std::vector<std::pair<std::string, ExprPtr>> out;
    stream_.expect_operator("(");
    while (!stream_.is_operator(")")) {
      if (!out.empty()) {
        stream_.expect_operator(",");
        if (stream_.is_operator(")")) break;
      }
      std::string name = stream_.expect(TokenKind::kName, "a parameter name").text;
      ExprPtr value;
      if (stream_.skip_operator("=")) {
        value = expressions_.expression();
      } else if (!out.empty() && out.back().second) {
        stream_.fail("parameter without a default follows one that has it");
      }
      out.emplace_back(std::move(name), std::move(value));
    }
    stream_.expect_operator(")");
    return out;
  }

  Block macro_body(std::string_view end) {
    const int loops = std::exchange(loops_, 0);
    Block block = body(end);
    loops_ = loops;
    return block;
  }

  std::unique_ptr<Stmt> macro_statement() {
    auto stmt = make(StmtKind::kMacro);
    stream_.next();
    stmt->macro = std::make_unique<MacroDefinition>();
    stmt->macro->name = stream_.expect(TokenKind::kName, "a macro name").text;
    stmt->macro->parameters = parameters();
    stmt->macro->body = macro_body("endmacro");
    return stmt;
  }

  std::unique_ptr<Stmt> call_statement() {
    auto stmt = make(StmtKind::kCall);
    stream_.next();
    stmt->macro = std::make_unique<MacroDefinition>();
    stmt->macro->name = "caller";
    if (stream_.is_operator("(")) stmt->macro->parameters = parameters();
    stmt->value = expressions_.expression();
    if (stmt->value->kind != ExprKind::kCall) stream_.fail("expected a call");
    stmt->macro->body = macro_body("endcall");
    return stmt;
  }

  std::unique_ptr<Stmt> with_statement() {
    auto stmt = make(StmtKind::kWith);
    stream_.next();
    while (stream_.peek().kind != TokenKind::kBlockEnd) {
      if (!stmt->assignments.empty()) stream_.expect_operator(",");
      Target to = single_target(false);
      stream_.expect_operator("=");
      stmt->assignments.emplace_back(std::move(to), expressions_.expression());
    }
    stmt->body = body("endwith");
    return stmt;
  }

  Target single_target(bool attributes) {
    Target out;
    if (++depth_ > kMaxBlockDepth) stream_.fail("nested too deep");
    if (stream_.skip_operator("(")) {
      out = target(false);
      stream_.expect_operator(")");
    } else {
      out.name = stream_.expect(TokenKind::kName, "a name to assign to").text;
      static constexpr std::string_view kReserved[] = {"true", "false", "none",
                                                       "True", "False", "None"};
      if (std::find(std::begin(kReserved), std::end(kReserved), out.name) != std::end(kReserved))
        stream_.fail("can't assign to '" + out.name + "'");
      if (attributes && stream_.skip_operator("."))
        out.attribute = stream_.expect(TokenKind::kName, "an attribute").text;
    }
    --depth_;
    return out;
  }

  Target target(bool attributes) {
    Target first = single_target(attributes);
    if (!stream_.is_operator(",")) return first;
    Target all;
    all.items.push_back(std::move(first));
    while (stream_.skip_operator(",")) {
      if (stream_.is_name("in") || stream_.is_operator("=") || stream_.is_operator(")")) break;
      all.items.push_back(single_target(attributes));
    }
    return all;
  }

  TokenStream stream_;
  ExpressionParser expressions_;
  int depth_ = 0, loops_ = 0;
};

}  // namespace

Block parse(std::string_view source) {
  return Parser(source).parse_all();
}

}  // namespace tensormill::jinja
