#include "tokenizer/jinja/constants.h"

#include <algorithm>

namespace tensormill::jinja {
namespace {

// Filters that look at the names around them are not computed beforehand.
bool needs_names(std::string_view filter) {
  static constexpr std::string_view kFilters[] = {"map",    "random",     "reject",
                                                  "select", "rejectattr", "selectattr"};
  return std::find(std::begin(kFilters), std::end(kFilters), filter) != std::end(kFilters);
}

bool is_constant(const Expr& expr) {
  if (expr.kind == ExprKind::kName || expr.kind == ExprKind::kCall) return false;
  if (expr.kind == ExprKind::kFilter && (!expr.filter || needs_names(expr.text))) return false;
  if (expr.kind == ExprKind::kTest && !expr.test) return false;
  if (expr.more_parts || expr.more_named) return false;
  const bool bounds_may_be_missing = expr.kind == ExprKind::kSlice;
  return std::all_of(expr.parts.begin(), expr.parts.end(),
                     [&](const ExprPtr& part) {
                       return part ? is_constant(*part) : bounds_may_be_missing;
                     }) &&
         std::all_of(expr.named.begin(), expr.named.end(),
                     [](const auto& named) { return is_constant(*named.second); });
}

void mark(Expr& expr, bool inside_constant) {
  if (expr.kind == ExprKind::kSlice && inside_constant) expr.computed_early = true;
  const bool constant = inside_constant || is_constant(expr);
  for (const ExprPtr& part : expr.parts) {
    if (part) mark(*part, constant);
  }
  for (const auto& [name, part] : expr.named) mark(*part, constant);
  for (const ExprPtr* part : {&expr.more_parts, &expr.more_named}) {
    if (*part) mark(**part, constant);
  }
}

bool has_slice(const Expr& expr) {
  const auto in_part = [](const ExprPtr& part) { return part && has_slice(*part); };
  return expr.kind == ExprKind::kSlice ||
         std::any_of(expr.parts.begin(), expr.parts.end(), in_part) ||
         std::any_of(expr.named.begin(), expr.named.end(),
                     [](const auto& named) { return has_slice(*named.second); }) ||
         in_part(expr.more_parts) || in_part(expr.more_named);
}

}  // namespace

void mark_constant_slices(Expr& expr, bool shown) {
  if (has_slice(expr)) mark(expr, shown && is_constant(expr));
}

}  // namespace tensormill::jinja
