#pragma once

#include <fmt/format.h>

#include <span>
#include <string>
#include <string_view>

#include "tokenizer/json_node.h"

namespace tensormill {

// One row of a stage's list: a JSON "type" and what makes it.
template <class Stage>
struct Factory {
  std::string_view type;
  std::unique_ptr<Stage> (*make)(const JsonNode& node);
};

// The stage that `node` names; kUnsupported with the type, its path and what there is otherwise.
template <class Stage>
std::unique_ptr<Stage> make_stage(const JsonNode& node, std::span<const Factory<Stage>> list) {
  const std::string type = node.at("type").text();
  std::string known;
  for (const Factory<Stage>& row : list) {
    if (row.type == type) return row.make(node);
    known.append(known.empty() ? "" : ", ").append(row.type);
  }
  node.fail_unsupported(fmt::format("type \"{}\" is not supported; supported: {}", type, known));
}

}  // namespace tensormill
