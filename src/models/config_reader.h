#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tensormill {

// Reads config.json and remembers which keys were read. A key that is null counts as absent. Every
// error is kArtifactInvalid and names file, key, value and what was expected.
class ConfigReader {
 public:
  // `object` must outlive the reader; `file` is for messages.
  ConfigReader(const nlohmann::json& object, std::string file);

  const std::string& file() const { return file_; }
  bool has(std::string_view key) const;
  // The key stands there as null, which may mean "none" where an absent key means a default.
  bool is_null(std::string_view key) const;
  // The key stands there as a text, where it may also be a number or an object.
  bool is_text(std::string_view key) const;

  // What an absent key means from now on, where a file may leave out a required one.
  void usual(std::string_view key, const nlohmann::json& value);

  // A whole number in [low, high].
  int32_t integer(std::string_view key, int64_t low, int64_t high,
                  std::optional<int32_t> fallback = {});
  // A finite number in [low, high].
  float number(std::string_view key, double low, double high, std::optional<float> fallback = {});
  // A list of `count` finite numbers in [low, high].
  std::vector<float> numbers(std::string_view key, size_t count, double low, double high);
  bool flag(std::string_view key, std::optional<bool> fallback = {});
  std::string text(std::string_view key, std::optional<std::string> fallback = {});
  // A list of texts; empty where the key is absent.
  std::vector<std::string> texts(std::string_view key);
  // The value as it stands, for shapes that no other function reads; null: absent.
  const nlohmann::json* value(std::string_view key) { return find(key); }
  // One whole number or a list of them, negative ones dropped; empty where the key is absent.
  std::vector<int32_t> ids(std::string_view key);
  // An object below this one; its keys are tracked like the others, as "key.inner".
  ConfigReader object(std::string_view key);

  // Marks keys as read that change nothing in what is computed.
  void without_effect(std::initializer_list<std::string_view> keys);
  // Errors: kArtifactInvalid naming every key, here and in objects below, that has a value and that
  // nobody read.
  void finish() const;

  [[noreturn]] void fail(std::string_view key, std::string_view expected) const;
  // kUnsupported instead: the value makes sense, this build can't do it.
  [[noreturn]] void unsupported(std::string_view key, std::string_view expected) const;

 private:
  struct State;
  ConfigReader(const nlohmann::json& object, std::string file, std::string prefix,
               std::shared_ptr<State> state);
  const nlohmann::json* peek(std::string_view key) const;  // null: absent
  const nlohmann::json* find(std::string_view key);        // marks as read; null: absent or null
  const nlohmann::json& require(std::string_view key, std::string_view expected);
  std::string shown(std::string_view key) const;

  const nlohmann::json* object_;
  std::string file_, prefix_;
  std::shared_ptr<State> state_;
};

}  // namespace tensormill
