#include "tokenizer/jinja/content_parts.h"

#include <algorithm>
#include <set>

namespace tensormill::jinja {
namespace {

class Search {
 public:
  explicit Search(const Program& program) { content_.insert(program.names.find("content")); }

  bool in_block(const Block& block) {
    return std::any_of(block.begin(), block.end(), [this](const auto& s) { return in_stmt(*s); });
  }

 private:
  // message.content, message["content"] and names that were set to it.
  bool is_content(const Expr& expr) const {
    switch (expr.kind) {
      case ExprKind::kName:
        return content_.contains(expr.name);
      case ExprKind::kAttribute:
        return expr.text == "content";
      case ExprKind::kItem:
        return is_constant(expr.parts[1].get(), "content");
      case ExprKind::kFilter:
      case ExprKind::kSlice:
        return expr.parts[0] && is_content(*expr.parts[0]);
      default:
        return false;
    }
  }

  static bool is_constant(const Expr* expr, std::string_view text) {
    return expr && expr->kind == ExprKind::kConstant && expr->constant.text() &&
           *expr->constant.text() == text;
  }

  // content[0].text
  bool is_part_text(const Expr& expr) const {
    const bool text = (expr.kind == ExprKind::kAttribute && expr.text == "text") ||
                      (expr.kind == ExprKind::kItem && is_constant(expr.parts[1].get(), "text"));
    if (!text || expr.parts[0]->kind != ExprKind::kItem) return false;
    return is_content(*expr.parts[0]->parts[0]);
  }

  bool takes_apart(const Expr& expr) const {
    static constexpr std::string_view kFilters[] = {"map", "select", "selectattr", "reject",
                                                    "rejectattr"};
    const bool filters =
        expr.kind == ExprKind::kFilter && expr.parts[0] &&
        std::find(std::begin(kFilters), std::end(kFilters), expr.text) != std::end(kFilters);
    return (filters && is_content(*expr.parts[0])) || is_part_text(expr);
  }

  bool in_expr(const Expr* expr) const {
    if (!expr) return false;
    if (takes_apart(*expr)) return true;
    const auto inside = [this](const ExprPtr& part) { return in_expr(part.get()); };
    return std::any_of(expr->parts.begin(), expr->parts.end(), inside) ||
           std::any_of(expr->named.begin(), expr->named.end(),
                       [&](const auto& part) { return inside(part.second); });
  }

  bool in_stmt(const Stmt& stmt) {
    if (stmt.kind == StmtKind::kFor && is_content(*stmt.value)) return true;
    if (stmt.kind == StmtKind::kSet && stmt.target.name >= 0 && stmt.target.attribute.empty() &&
        is_content(*stmt.value))
      content_.insert(stmt.target.name);
    if (in_expr(stmt.value.get()) || in_expr(stmt.condition.get())) return true;
    return in_block(stmt.body) || in_block(stmt.otherwise) ||
           (stmt.macro && in_block(stmt.macro->body));
  }

  std::set<int> content_;
};

}  // namespace

bool reads_content_parts(const Program& program) {
  return Search(program).in_block(program.block);
}

}  // namespace tensormill::jinja
