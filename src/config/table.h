#pragma once

#include <span>

#include "config/settings.h"

namespace tensormill {

// The two halves of setting_table(), one file each.
std::span<const Setting> server_setting_rows();
std::span<const Setting> model_setting_rows();

}  // namespace tensormill
