#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace tensormill {

// What the sources of `bench` share. Include it in .cc files only.

// The value below which `share` of the values lie, between two of them where it falls there; 0 of
// none.
double quantile(std::vector<double> values, double share);

// Adds "NAME" (the median), "NAME_min" and "NAME_max" to a row.
void add_spread(OrderedJson& row, const char* name, const std::vector<double>& values);

// "1234.5 (1200.0 - 1250.0)" of what add_spread() added; "-" where all is 0.
std::string spread_text(const OrderedJson& row, const char* name, int digits);

}  // namespace tensormill
