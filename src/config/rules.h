#pragma once

#include <string>
#include <string_view>

#include "config/settings.h"

namespace tensormill {

// A value as messages, logs and --print-config may show it: passwords and tokens as ***.
std::string shown_value(std::string_view key, std::string_view value);

// What stands in brackets after a value that isn't allowed: "an integer from 1".
std::string describe_allowed(const Setting& setting);

// The value as it is kept: checked for type and range, words in the case of the table, "max" ranks
// turned into a number. `label` is what messages call it: `key=value (source)`.
// Errors: kConfigInvalid; kUnsupported for values that this build refuses.
std::string checked_value(const Setting& setting, std::string_view value, std::string_view label);

// The keys of the original's handler, whose booleans are strict; all others are true only for
// "true".
bool has_strict_flags(const Setting& setting);
bool parse_flag(const Setting& setting, std::string_view value, std::string_view label);

// The known key of the scope that is fewest edits away; "" if none is near.
std::string_view nearest_key(SettingScope scope, std::string_view key);

}  // namespace tensormill
