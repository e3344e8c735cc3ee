#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tensormill {

// A value of a JSON file that knows where it stands, so that every complaint names file and path.
// Views the JSON, which must outlive it.
class JsonNode {
 public:
  JsonNode(const nlohmann::json& value, std::string file, std::string path = "")
      : value_(&value), file_(std::move(file)), path_(std::move(path)) {}

  const nlohmann::json& value() const { return *value_; }
  const std::string& file() const { return file_; }

  // Members; a key that is absent or null: nullopt, or an error from at().
  std::optional<JsonNode> find(std::string_view key) const;
  JsonNode at(std::string_view key) const;
  std::vector<JsonNode> items() const;  // of an array

  // This value as a type; anything else is an error.
  std::string text() const;
  bool flag() const;
  int64_t integer(int64_t low, int64_t high) const;
  char32_t character() const;  // a string of one code point
  void expect_object() const;

  // Members with a default for an absent or null key.
  std::string text_or(std::string_view key, std::string_view otherwise) const;
  bool flag_or(std::string_view key, bool otherwise) const;

  // "tokenizer.json: pre_tokenizer.pretokenizers[1].type: ..." kArtifactInvalid.
  [[noreturn]] void fail(std::string_view message) const;
  [[noreturn]] void fail_unsupported(std::string_view message) const;  // kUnsupported
  std::string where() const;

 private:
  const nlohmann::json* value_;
  std::string file_, path_;
};

}  // namespace tensormill
