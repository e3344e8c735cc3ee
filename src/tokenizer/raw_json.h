#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "tokenizer/json_node.h"
#include "tokenizer/json_scanner.h"

namespace tensormill {

// A tokenizer.json is mostly its model's "vocab" and "merges", and a tree of them takes longer to
// make than all that is made of it. So they may stand in the tree as JSON text (a binary value),
// and who reads them reads the text.

// Thrown by readers of raw text that is not plainly what they expect; load_tokenizer_json() then
// reads the file as a tree, and what is wrong with it is found and told there.
struct RawJsonUnclear {};

// The tree of `text` with raw vocab and merges; nullopt when that isn't plain.
std::optional<nlohmann::json> parse_with_raw_model(std::string_view text, std::string_view origin);

// The text of a raw value, nullopt for a value of the tree.
std::optional<std::string_view> raw_text(const nlohmann::json& value);

// What a value of the tree or a raw one is.
bool holds_object(const nlohmann::json& value);
bool holds_array(const nlohmann::json& value);

}  // namespace tensormill
