#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/configuration.h"
#include "config/properties.h"

namespace tensormill {

// Raw values in the order of their sources, before anything is checked: a bad value that a later
// source replaces does no harm.
class Layers {
 public:
  using Map = std::map<std::string, Settings::Value, std::less<>>;

  // Later calls win.
  void put(std::string key, std::string value, std::string source);
  void put_all(const Layers& other);
  void erase(std::string_view key);
  const Settings::Value* find(std::string_view key) const;

  void apply(Settings& settings) const;

 private:
  Map values_;
};

// A variable and the name that the user gave it under.
struct Variable {
  std::string value, source;
};
using Variables = std::map<std::string, Variable>;

// The environment without empty values, and with the names that the original's container copies:
// MAX_BATCH_SIZE becomes OPTION_MAX_ROLLING_BATCH_SIZE where that isn't set, and so on.
Variables read_variables(const Environment& environment);
// "" where it isn't set.
std::string variable(const Variables& variables, const std::string& name);

// SERVING_FOO as foo, and the variables with names of their own.
void put_server_variables(Layers& layers, const Variables& variables);
// OPTION_FOO as option.foo.
void put_model_variables(Layers& layers, const Variables& variables);

// One source of model settings: keys of the handler count without "option." too, but the full name
// wins within the source.
void put_model_values(Layers& layers,
                      const std::vector<std::pair<std::string, Settings::Value>>& values);

// Values of a file with "file:line" as source.
std::vector<std::pair<std::string, Settings::Value>> with_sources(
    const std::vector<Property>& properties, const std::string& file);

}  // namespace tensormill
