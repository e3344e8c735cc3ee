#include "tokenizer/json_node.h"

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"

namespace tensormill {

std::optional<JsonNode> JsonNode::find(std::string_view key) const {
  expect_object();
  const auto found = value_->find(key);
  if (found == value_->end() || found->is_null()) return std::nullopt;
  return JsonNode(*found, file_,
                  path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key));
}

JsonNode JsonNode::at(std::string_view key) const {
  std::optional<JsonNode> found = find(key);
  if (!found) fail(fmt::format("\"{}\" is missing", key));
  return *std::move(found);
}

std::vector<JsonNode> JsonNode::items() const {
  if (!value_->is_array()) fail("expected an array");
  std::vector<JsonNode> result;
  result.reserve(value_->size());
  for (size_t i = 0; i < value_->size(); ++i) {
    result.emplace_back((*value_)[i], file_, fmt::format("{}[{}]", path_, i));
  }
  return result;
}

std::string JsonNode::text() const {
  if (!value_->is_string()) fail("expected a string");
  return value_->get<std::string>();
}

bool JsonNode::flag() const {
  if (!value_->is_boolean()) fail("expected true or false");
  return value_->get<bool>();
}

int64_t JsonNode::integer(int64_t low, int64_t high) const {
  if (value_->is_number_integer()) {
    const bool huge =
        value_->is_number_unsigned() && value_->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX);
    if (!huge) {
      const auto number = value_->get<int64_t>();
      if (number >= low && number <= high) return number;
    }
  }
  fail(fmt::format("expected an integer from {} to {}", low, high));
}

char32_t JsonNode::character() const {
  const std::string string = text();
  if (count_code_points(string) != 1) fail("expected a string of one character");
  size_t position = 0;
  return next_code_point(string, position);
}

void JsonNode::expect_object() const {
  if (!value_->is_object()) fail("expected an object");
}

std::string JsonNode::text_or(std::string_view key, std::string_view otherwise) const {
  const auto member = find(key);
  return member ? member->text() : std::string(otherwise);
}

bool JsonNode::flag_or(std::string_view key, bool otherwise) const {
  const auto member = find(key);
  return member ? member->flag() : otherwise;
}

std::string JsonNode::where() const {
  return path_.empty() ? file_ : fmt::format("{}: {}", file_, path_);
}

void JsonNode::fail(std::string_view message) const {
  throw_error(ErrorKind::kArtifactInvalid, "{}: {}", where(), message);
}

void JsonNode::fail_unsupported(std::string_view message) const {
  throw_error(ErrorKind::kUnsupported, "{}: {}", where(), message);
}

}  // namespace tensormill
