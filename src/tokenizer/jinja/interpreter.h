#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "tokenizer/jinja/ast.h"

namespace tensormill::jinja {

// Runs a template. Errors: kBadRequest with the line that ran, also when depth, size or time of
// the work go beyond bounds.
std::string interpret(const Program& program, const nlohmann::ordered_json& variables);

}  // namespace tensormill::jinja
