#include "tokenizer/jinja/parser.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>

#include "tokenizer/jinja/constants.h"
#include "tokenizer/jinja/expression_parser.h"
#include "tokenizer/jinja/lexer.h"

namespace tensormill::jinja {
namespace {

constexpr int kMaxBlockDepth = 100;

class Parser {
 public:
  explicit Parser(std::string_view source)
      : stream_(tokenize(source)), expressions_(stream_, names_) {}

  Program parse_all() {
    Block block = parse_until({});
    if (!stream_.at_end()) stream_.fail("unexpected tag");
    return {std::move(block), std::move(names_), {}};
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
        output->value = checked(expressions_.tuple(true), true);
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

  // Unknown filters and tests are errors where no condition stands before them.
  ExprPtr checked(ExprPtr expr, bool shown = false) {
    if (conditions_ == 0) expressions_.check_known(*expr);
    mark_constant_slices(*expr, shown);
    return expr;
  }

  void end_tag() { stream_.expect(TokenKind::kBlockEnd, "'%}'"); }

  // The body of a tag that is already read, up to and with its end tag.
  Block body(std::string_view end) {
    end_tag();
    const int conditions = std::exchange(conditions_, 0);
    Block block = parse_until({end});
    conditions_ = conditions;
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
      stmt->value = checked(expressions_.filters(nullptr, true));
      stmt->body = body("endfilter");
      return stmt;
    }
    if (name == "generation") {
      auto stmt = make(StmtKind::kScope);
      stream_.next();
      stmt->body = body("endgeneration");
      return stmt;
    }
    if (name == "print") {
      auto stmt = make(StmtKind::kOutput);
      stream_.next();
      stmt->value = checked(expressions_.expression(), true);
      end_tag();
      return stmt;
    }
    if (name == "block") return block_statement();
    for (const char* other : {"include", "import", "from", "extends"}) {
      if (name == other)
        stream_.fail("'" + name + "' needs other templates, and a chat template stands alone");
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
    ++conditions_;
    stmt->condition = checked(expressions_.tuple(false));
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
    --conditions_;
    --depth_;
    return stmt;
  }

  std::unique_ptr<Stmt> for_statement() {
    auto stmt = make(StmtKind::kFor);
    stream_.next();
    stmt->target = target(false);
    stream_.expect_name("in");
    stmt->value = checked(expressions_.tuple(false));
    const int conditions = std::exchange(conditions_, 0);
    if (stream_.skip_name("if")) stmt->condition = checked(expressions_.expression());
    stmt->recursive = stream_.skip_name("recursive");
    end_tag();
    ++loops_;
    const bool loop_before = std::exchange(expressions_.mentions.loop, false);
    stmt->body = parse_until({"endfor", "else"});
    stmt->uses_loop = expressions_.mentions.loop || stmt->recursive;
    expressions_.mentions.loop |= loop_before;
    --loops_;
    if (stream_.skip_name("else")) {
      end_tag();
      stmt->otherwise = parse_until({"endfor"});
    }
    conditions_ = conditions;
    stream_.expect_name("endfor");
    end_tag();
    return stmt;
  }

  std::unique_ptr<Stmt> set_statement() {
    auto stmt = make(StmtKind::kSet);
    stream_.next();
    stmt->target = target(true);
    if (stream_.skip_operator("=")) {
      stmt->value = checked(expressions_.tuple(true));
      end_tag();
      return stmt;
    }
    stmt->kind = StmtKind::kSetBlock;
    if (stream_.is_operator("|")) stmt->value = checked(expressions_.filters(nullptr, false));
    stmt->body = body("endset");
    return stmt;
  }

  std::vector<MacroDefinition::Parameter> parameters() {
    std::vector<MacroDefinition::Parameter> out;
    stream_.expect_operator("(");
    while (!stream_.is_operator(")")) {
      if (!out.empty()) {
        stream_.expect_operator(",");
        if (stream_.is_operator(")")) break;
      }
      std::string name = stream_.expect(TokenKind::kName, "a parameter name").text;
      ExprPtr value;
      if (stream_.skip_operator("=")) {
        value = checked(expressions_.expression());
      } else if (!out.empty() && out.back().otherwise) {
        stream_.fail("parameter without a default follows one that has it");
      }
      const int id = names_.add(name);
      out.push_back({id, std::move(name), std::move(value)});
    }
    stream_.expect_operator(")");
    return out;
  }

  void macro_body(MacroDefinition& macro, std::string_view end) {
    const int loops = std::exchange(loops_, 0);
    auto& mentions = expressions_.mentions;
    const auto before = std::exchange(mentions, {});
    macro.body = body(end);
    loops_ = loops;
    macro.uses_caller = mentions.caller;
    macro.uses_varargs = mentions.varargs;
    macro.uses_kwargs = mentions.kwargs;
    mentions.loop |= before.loop;
    mentions.caller |= before.caller;
    mentions.varargs |= before.varargs;
    mentions.kwargs |= before.kwargs;
  }

  std::unique_ptr<Stmt> macro_statement() {
    auto stmt = make(StmtKind::kMacro);
    stream_.next();
    stmt->macro = std::make_unique<MacroDefinition>();
    stmt->macro->name = stream_.expect(TokenKind::kName, "a macro name").text;
    stmt->name = names_.add(stmt->macro->name);
    stmt->macro->parameters = parameters();
    macro_body(*stmt->macro, "endmacro");
    return stmt;
  }

  std::unique_ptr<Stmt> call_statement() {
    auto stmt = make(StmtKind::kCall);
    stream_.next();
    stmt->macro = std::make_unique<MacroDefinition>();
    stmt->macro->name = "caller";
    if (stream_.is_operator("(")) stmt->macro->parameters = parameters();
    stmt->value = checked(expressions_.expression());
    if (stmt->value->kind != ExprKind::kCall) stream_.fail("expected a call");
    macro_body(*stmt->macro, "endcall");
    return stmt;
  }

  // Without inheritance a block is shown where it stands.
  std::unique_ptr<Stmt> block_statement() {
    auto stmt = make(StmtKind::kBlock);
    stream_.next();
    const std::string name = stream_.expect(TokenKind::kName, "a block name").text;
    if (stream_.skip_name("scoped")) stmt->kind = StmtKind::kScope;
    end_tag();
    stmt->body = parse_until({"endblock"});
    stream_.expect_name("endblock");
    stream_.skip_name(name);
    end_tag();
    return stmt;
  }

  std::unique_ptr<Stmt> with_statement() {
    auto stmt = make(StmtKind::kWith);
    stream_.next();
    while (stream_.peek().kind != TokenKind::kBlockEnd) {
      if (!stmt->assignments.empty()) stream_.expect_operator(",");
      Target to = single_target(false);
      stream_.expect_operator("=");
      stmt->assignments.emplace_back(std::move(to), checked(expressions_.expression()));
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
      const std::string name = stream_.expect(TokenKind::kName, "a name to assign to").text;
      static constexpr std::string_view kReserved[] = {"true", "false", "none",
                                                       "True", "False", "None"};
      if (std::find(std::begin(kReserved), std::end(kReserved), name) != std::end(kReserved))
        stream_.fail("can't assign to '" + name + "'");
      out.name = names_.add(name);
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
  Names names_;
  ExpressionParser expressions_;
  int depth_ = 0, loops_ = 0;
  int conditions_ = 0;  // branches around, within the nearest block with names of its own
};

}  // namespace

Names::Names() {
  for (const char* name : {"range", "namespace", "dict", "cycler", "joiner", "raise_exception",
                           "strftime_now", "loop", "caller", "varargs", "kwargs"})
    add(name);
}

int Names::add(const std::string& name) {
  const auto [at, added] = ids_.try_emplace(name, static_cast<int>(texts_.size()));
  if (added) texts_.push_back(name);
  return at->second;
}

int Names::find(const std::string& name) const {
  const auto found = ids_.find(name);
  return found == ids_.end() ? -1 : found->second;
}

Program parse(std::string_view source) {
  Program program = Parser(source).parse_all();
  program.source = source;
  return program;
}

}  // namespace tensormill::jinja
