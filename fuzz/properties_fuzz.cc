// Properties files: the parser must end with entries or an Error, and what it read must be text.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "base/utf8_text.h"
#include "config/model_item.h"
#include "config/properties.h"
#include "config/settings.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tensormill;
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    for (const Property& property : parse_properties(text, "fuzz")) {
      if (!is_valid_utf8(property.key) || !is_valid_utf8(property.value)) std::abort();
      model_name_of_url(property.value);
      for (const SettingScope scope : {SettingScope::kServer, SettingScope::kModel}) {
        const Setting* setting = find_setting(scope, property.key);
        if (!setting) continue;
        try {
          Settings settings(scope);
          settings.set(property.key, property.value, "fuzz");
          settings.text(property.key);
        } catch (const Error&) {
        }
      }
      try {
        parse_model_item(property.value);
      } catch (const Error&) {
      }
    }
  } catch (const Error&) {
  }
  return 0;
}
