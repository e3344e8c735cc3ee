#pragma once

#include <string>
#include <string_view>

#include "models/config_reader.h"
#include "models/names.h"
#include "models/spec.h"

namespace tensormill {

// A family as its config.json describes one model.
struct FamilyModel {
  TransformerSpec spec;
  Names names;
};

struct Family {
  std::string_view model_type;  // of config.json
  FamilyModel (*describe)(ConfigReader& config);
};

// Errors: kUnsupported naming the type, the file and all that is supported.
const Family& find_family(std::string_view model_type, std::string_view file);

}  // namespace tensormill
