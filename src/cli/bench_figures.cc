#include "cli/bench_figures.h"

#include <fmt/core.h>

#include <algorithm>
#include <string>

namespace tensormill {

double quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double place = share * static_cast<double>(values.size() - 1);
  const auto before = static_cast<size_t>(place);
  const size_t after = std::min(before + 1, values.size() - 1);
  return values[before] + (place - static_cast<double>(before)) * (values[after] - values[before]);
}

void add_spread(OrderedJson& row, const char* name, const std::vector<double>& values) {
  row[name] = quantile(values, 0.5);
  row[fmt::format("{}_min", name)] = quantile(values, 0);
  row[fmt::format("{}_max", name)] = quantile(values, 1);
}

std::string spread_text(const OrderedJson& row, const char* name, int digits) {
  const auto value = [&](const char* end) {
    return row[fmt::format("{}{}", name, end)].get<double>();
  };
  if (value("_max") == 0) return "-";
  return fmt::format("{:.{}f} ({:.{}f} - {:.{}f})", value(""), digits, value("_min"), digits,
                     value("_max"), digits);
}

}  // namespace tensormill
