#include "tokenizer/jinja/expression_parser.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "tokenizer/jinja/filters.h"

namespace tensormill::jinja {
namespace {

constexpr int kMaxDepth = 150;

}  // namespace

void TokenStream::fail(const std::string& what) const {
  const Token& token = peek();
  syntax_error(token.line, token.column,
               token.text.empty() || token.kind == TokenKind::kText
                   ? what
                   : fmt::format("{}, found '{}'", what, token.text.substr(0, 40)));
}

const Token& TokenStream::expect(TokenKind kind, std::string_view what) {
  if (peek().kind != kind) fail(fmt::format("expected {}", what));
  return next();
}

void TokenStream::expect_operator(std::string_view text) {
  if (!skip_operator(text)) fail(fmt::format("expected '{}'", text));
}

void TokenStream::expect_name(std::string_view text) {
  if (!skip_name(text)) fail(fmt::format("expected '{}'", text));
}

ExprPtr ExpressionParser::make(ExprKind kind, std::string text) const {
  auto expr = std::make_unique<Expr>();
  expr->kind = kind;
  expr->line = stream_.peek().line;
  expr->text = std::move(text);
  return expr;
}

ExprPtr ExpressionParser::finish(ExprPtr expr) const {
  int depth = 0;
  for (const ExprPtr& part : expr->parts) depth = std::max(depth, part ? part->depth : 0);
  for (const auto& [name, part] : expr->named) depth = std::max(depth, part->depth);
  for (const ExprPtr* part : {&expr->more_parts, &expr->more_named})
    depth = std::max(depth, *part ? (*part)->depth : 0);
  if (depth >= kMaxDepth) stream_.fail("expression nested too deep");
  expr->depth = depth + 1;
  return expr;
}

ExprPtr ExpressionParser::join(ExprKind kind, ExprPtr left, ExprPtr right) const {
  ExprPtr expr = make(kind);
  expr->line = left->line;
  expr->parts.push_back(std::move(left));
  expr->parts.push_back(std::move(right));
  return finish(std::move(expr));
}

ExprPtr ExpressionParser::expression(bool with_condition) {
  if (++nesting_ > kMaxDepth) stream_.fail("expression nested too deep");
  ExprPtr value = either();
  while (with_condition && stream_.skip_name("if")) {
    ExprPtr expr = make(ExprKind::kCondition);
    expr->parts.push_back(std::move(value));
    expr->parts.push_back(either());
    expr->parts.push_back(stream_.skip_name("else") ? expression() : nullptr);
    value = finish(std::move(expr));
  }
  --nesting_;
  return value;
}

ExprPtr ExpressionParser::tuple(bool with_condition) {
  ExprPtr first = expression(with_condition);
  if (!stream_.is_operator(",")) return first;
  ExprPtr expr = make(ExprKind::kTuple);
  expr->parts.push_back(std::move(first));
  while (stream_.skip_operator(",")) {
    const TokenKind kind = stream_.peek().kind;
    if (kind == TokenKind::kVariableEnd || kind == TokenKind::kBlockEnd || stream_.is_operator(")"))
      break;
    expr->parts.push_back(expression(with_condition));
  }
  return finish(std::move(expr));
}

ExprPtr ExpressionParser::binary(
    std::initializer_list<std::pair<std::string_view, Operator>> operators,
    ExprPtr (ExpressionParser::*operand)()) {
  ExprPtr left = (this->*operand)();
  while (true) {
    const auto* found = std::find_if(operators.begin(), operators.end(), [this](const auto& op) {
      return stream_.is_operator(op.first);
    });
    if (found == operators.end()) return left;
    stream_.next();
    left = join(ExprKind::kBinary, std::move(left), (this->*operand)());
    left->operators.push_back(found->second);
  }
}

ExprPtr ExpressionParser::either() {
  ExprPtr left = both();
  while (stream_.skip_name("or")) left = join(ExprKind::kOr, std::move(left), both());
  return left;
}

ExprPtr ExpressionParser::both() {
  ExprPtr left = negation();
  while (stream_.skip_name("and")) left = join(ExprKind::kAnd, std::move(left), negation());
  return left;
}

ExprPtr ExpressionParser::negation() {
  if (!stream_.is_name("not")) return comparison();
  ExprPtr expr = make(ExprKind::kNot);
  stream_.next();
  if (++nesting_ > kMaxDepth) stream_.fail("expression nested too deep");
  expr->parts.push_back(negation());
  --nesting_;
  return finish(std::move(expr));
}

ExprPtr ExpressionParser::comparison() {
  static constexpr std::pair<std::string_view, Operator> kOperators[] = {
      {"==", Operator::kEqual},   {"!=", Operator::kUnequal}, {"<=", Operator::kAtMost},
      {">=", Operator::kAtLeast}, {"<", Operator::kLess},     {">", Operator::kMore}};
  ExprPtr expr = make(ExprKind::kCompare);
  expr->parts.push_back(sum());
  while (true) {
    const auto* found =
        std::find_if(std::begin(kOperators), std::end(kOperators),
                     [this](const auto& op) { return stream_.is_operator(op.first); });
    if (found != std::end(kOperators)) {
      stream_.next();
      expr->operators.push_back(found->second);
    } else if (stream_.skip_name("in")) {
      expr->operators.push_back(Operator::kIn);
    } else if (stream_.is_name("not") && stream_.after().kind == TokenKind::kName &&
               stream_.after().text == "in") {
      stream_.next();
      stream_.next();
      expr->operators.push_back(Operator::kNotIn);
    } else {
      break;
    }
    expr->parts.push_back(sum());
  }
  if (expr->operators.empty()) return std::move(expr->parts.front());
  return finish(std::move(expr));
}

ExprPtr ExpressionParser::sum() {
  return binary({{"+", Operator::kAdd}, {"-", Operator::kSubtract}},
                &ExpressionParser::concatenation);
}

ExprPtr ExpressionParser::concatenation() {
  ExprPtr first = product();
  if (!stream_.is_operator("~")) return first;
  ExprPtr expr = make(ExprKind::kConcat);
  expr->parts.push_back(std::move(first));
  while (stream_.skip_operator("~")) expr->parts.push_back(product());
  return finish(std::move(expr));
}

ExprPtr ExpressionParser::product() {
  return binary({{"*", Operator::kMultiply},
                 {"/", Operator::kDivide},
                 {"//", Operator::kFloorDivide},
                 {"%", Operator::kModulo}},
                &ExpressionParser::power);
}

ExprPtr ExpressionParser::power() {
  return binary({{"**", Operator::kPower}}, &ExpressionParser::filtered_unary);
}

ExprPtr ExpressionParser::filtered_unary() {
  return unary(true);
}

ExprPtr ExpressionParser::unary(bool with_filter) {
  ExprPtr value;
  if (stream_.is_operator("-") || stream_.is_operator("+")) {
    if (++nesting_ > kMaxDepth) stream_.fail("expression nested too deep");
    value = make(stream_.is_operator("-") ? ExprKind::kNegate : ExprKind::kPlus);
    stream_.next();
    value->parts.push_back(unary(false));
    value = finish(std::move(value));
    --nesting_;
  } else {
    value = primary();
  }
  value = postfix(std::move(value));
  return with_filter ? filters(std::move(value), false) : std::move(value);
}

ExprPtr ExpressionParser::primary() {
  const Token& token = stream_.peek();
  switch (token.kind) {
    case TokenKind::kName:
      return name();
    case TokenKind::kString: {
      ExprPtr expr = make(ExprKind::kConstant);
      std::string text;
      while (stream_.peek().kind == TokenKind::kString) text += stream_.next().text;
      expr->constant = std::move(text);
      return expr;
    }
    case TokenKind::kInteger:
      return integer();
    case TokenKind::kFloat:
      return floating();
    default:
      break;
  }
  if (stream_.is_operator("[")) return list();
  if (stream_.is_operator("{")) return dict();
  if (!stream_.skip_operator("(")) stream_.fail("expected an expression");
  if (stream_.skip_operator(")")) return make(ExprKind::kTuple);
  ExprPtr value = tuple(true);
  stream_.expect_operator(")");
  return value;
}

ExprPtr ExpressionParser::name() {
  ExprPtr expr = make(ExprKind::kConstant);
  const std::string& text = stream_.next().text;
  if (text == "true" || text == "True") {
    expr->constant = true;
  } else if (text == "false" || text == "False") {
    expr->constant = false;
  } else if (text == "none" || text == "None") {
    expr->constant = None{};
  } else {
    expr->kind = ExprKind::kName;
    expr->name = names_.add(text);
    mentions.loop |= expr->name == kNameLoop;
    mentions.caller |= expr->name == kNameCaller;
    mentions.varargs |= expr->name == kNameVarargs;
    mentions.kwargs |= expr->name == kNameKwargs;
  }
  return expr;
}

ExprPtr ExpressionParser::integer() {
  ExprPtr expr = make(ExprKind::kConstant);
  std::string digits = stream_.peek().text;
  digits.erase(std::remove(digits.begin(), digits.end(), '_'), digits.end());
  int base = 10;
  if (digits.size() > 2 && !(digits[1] >= '0' && digits[1] <= '9')) {
    base = digits[1] == 'x' || digits[1] == 'X' ? 16 : digits[1] == 'o' || digits[1] == 'O' ? 8 : 2;
    digits.erase(0, 2);
  }
  int64_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto result = std::from_chars(digits.data(), end, value, base);
  if (result.ptr != end || (result.ec != std::errc() && base != 10))
    stream_.fail("expected a 64-bit integer");
  expr->constant = value;
  if (result.ec != std::errc())
    expr->constant = Value::Data(BigInteger{std::make_shared<const std::string>(digits)});
  stream_.next();
  return expr;
}

ExprPtr ExpressionParser::floating() {
  ExprPtr expr = make(ExprKind::kConstant);
  std::string digits = stream_.peek().text;
  digits.erase(std::remove(digits.begin(), digits.end(), '_'), digits.end());
  double value = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (result.ec != std::errc()) stream_.fail("expected a 64-bit float");
  expr->constant = value;
  stream_.next();
  return expr;
}

ExprPtr ExpressionParser::list() {
  ExprPtr expr = make(ExprKind::kList);
  stream_.expect_operator("[");
  while (!stream_.is_operator("]")) {
    if (!expr->parts.empty()) {
      stream_.expect_operator(",");
      if (stream_.is_operator("]")) break;
    }
    expr->parts.push_back(expression());
  }
  stream_.expect_operator("]");
  return finish(std::move(expr));
}

ExprPtr ExpressionParser::dict() {
  ExprPtr expr = make(ExprKind::kDict);
  stream_.expect_operator("{");
  while (!stream_.is_operator("}")) {
    if (!expr->parts.empty()) {
      stream_.expect_operator(",");
      if (stream_.is_operator("}")) break;
    }
    expr->parts.push_back(expression());
    stream_.expect_operator(":");
    expr->parts.push_back(expression());
  }
  stream_.expect_operator("}");
  return finish(std::move(expr));
}

ExprPtr ExpressionParser::postfix(ExprPtr value) {
  while (true) {
    if (stream_.skip_operator(".")) {
      const Token& token = stream_.peek();
      if (token.kind == TokenKind::kInteger) {
        ExprPtr index = integer();
        value = join(ExprKind::kItem, std::move(value), std::move(index));
        continue;
      }
      ExprPtr expr = make(ExprKind::kAttribute);
      expr->text = stream_.expect(TokenKind::kName, "an attribute").text;
      expr->parts.push_back(std::move(value));
      value = finish(std::move(expr));
    } else if (stream_.is_operator("[")) {
      value = subscript(std::move(value));
    } else if (stream_.is_operator("(")) {
      ExprPtr expr = make(ExprKind::kCall);
      expr->parts.push_back(std::move(value));
      arguments(*expr);
      value = finish(std::move(expr));
    } else {
      return value;
    }
  }
}

ExprPtr ExpressionParser::subscript(ExprPtr value) {
  ExprPtr expr = make(ExprKind::kItem);
  expr->parts.push_back(std::move(value));
  stream_.expect_operator("[");
  const auto part = [this]() -> ExprPtr {
    return stream_.is_operator(":") || stream_.is_operator("]") ? nullptr : expression();
  };
  expr->parts.push_back(part());
  if (stream_.skip_operator(":")) {
    expr->kind = ExprKind::kSlice;
    expr->parts.push_back(part());
    expr->parts.push_back(stream_.skip_operator(":") ? part() : nullptr);
  } else if (!expr->parts.back()) {
    stream_.fail("expected an index");
  }
  stream_.expect_operator("]");
  return finish(std::move(expr));
}

void ExpressionParser::arguments(Expr& call) {
  stream_.expect_operator("(");
  bool first = true;
  while (!stream_.is_operator(")")) {
    if (!first) {
      stream_.expect_operator(",");
      if (stream_.is_operator(")")) break;
    }
    first = false;
    if (stream_.is_operator("*") || stream_.is_operator("**")) {
      ExprPtr& more = stream_.is_operator("*") ? call.more_parts : call.more_named;
      if (more || call.more_named) stream_.fail("more unpacked arguments than can be");
      stream_.next();
      more = expression();
      continue;
    }
    const Token& after = stream_.after();
    if (stream_.peek().kind == TokenKind::kName && after.kind == TokenKind::kOperator &&
        after.text == "=") {
      std::string name = stream_.next().text;
      stream_.next();
      call.named.emplace_back(std::move(name), expression());
    } else if (!call.named.empty() || call.more_parts || call.more_named) {
      stream_.fail("positional argument after a keyword argument");
    } else {
      call.parts.push_back(expression());
    }
  }
  stream_.expect_operator(")");
}

ExprPtr ExpressionParser::filters(ExprPtr value, bool named_first) {
  while (true) {
    if (named_first || stream_.skip_operator("|")) {
      named_first = false;
      ExprPtr expr = make(ExprKind::kFilter);
      expr->text = dotted_name("the name of a filter");
      expr->filter = find_filter(expr->text);
      expr->parts.push_back(std::move(value));
      if (stream_.is_operator("(")) arguments(*expr);
      value = finish(std::move(expr));
    } else if (value && stream_.is_name("is")) {
      value = test(std::move(value));
    } else if (value && stream_.is_operator("(")) {
      ExprPtr expr = make(ExprKind::kCall);
      expr->parts.push_back(std::move(value));
      arguments(*expr);
      value = finish(std::move(expr));
    } else {
      return value;
    }
  }
}

std::string ExpressionParser::dotted_name(std::string_view what) {
  std::string name = stream_.expect(TokenKind::kName, what).text;
  while (stream_.skip_operator(".")) name += "." + stream_.expect(TokenKind::kName, what).text;
  return name;
}

void ExpressionParser::check_known(const Expr& expr) const {
  if (expr.kind == ExprKind::kCondition) return;
  if (expr.kind == ExprKind::kFilter && !expr.filter)
    syntax_error(expr.line, 1, "unknown filter '" + expr.text + "'");
  if (expr.kind == ExprKind::kTest && !expr.test)
    syntax_error(expr.line, 1, "unknown test '" + expr.text + "'");
  for (const ExprPtr& part : expr.parts) {
    if (part) check_known(*part);
  }
  for (const auto& [key, part] : expr.named) check_known(*part);
  for (const ExprPtr* part : {&expr.more_parts, &expr.more_named}) {
    if (*part) check_known(**part);
  }
}

ExprPtr ExpressionParser::test(ExprPtr value) {
  stream_.expect_name("is");
  const bool negated = stream_.skip_name("not");
  ExprPtr expr = make(ExprKind::kTest);
  expr->text = dotted_name("the name of a test");
  expr->test = find_test(expr->text);
  expr->parts.push_back(std::move(value));
  const Token& token = stream_.peek();
  const bool keyword = token.kind == TokenKind::kName &&
                       (token.text == "else" || token.text == "or" || token.text == "and");
  if (stream_.is_operator("(")) {
    arguments(*expr);
  } else if ((token.kind == TokenKind::kName && !keyword) || token.kind == TokenKind::kString ||
             token.kind == TokenKind::kInteger || token.kind == TokenKind::kFloat ||
             stream_.is_operator("[") || stream_.is_operator("{")) {
    if (stream_.is_name("is")) stream_.fail("tests can't be chained with is");
    expr->parts.push_back(postfix(primary()));
  }
  expr = finish(std::move(expr));
  if (!negated) return expr;
  ExprPtr negation = make(ExprKind::kNot);
  negation->parts.push_back(std::move(expr));
  return finish(std::move(negation));
}

}  // namespace tensormill::jinja
