#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/request.h"
#include "tasks/generation_config.h"

namespace tensormill {

// Reads a client's parameters. A null counts as absent. Errors: kBadRequest "name: value, expected
// what", for wrong types and for values out of range.
class Parameters {
 public:
  explicit Parameters(const nlohmann::ordered_json& object) : object_(object) {}

  const nlohmann::ordered_json* find(std::string_view name) const;  // null: absent
  std::optional<int64_t> integer(std::string_view name, int64_t low, int64_t high) const;
  // low_open, high_open: the bound itself is not allowed
  std::optional<double> number(std::string_view name, double low, double high,
                               bool low_open = false) const;
  std::optional<bool> flag(std::string_view name) const;
  bool truthy(std::string_view name) const;  // as Python sees it; absent: false
  std::optional<std::string> text(std::string_view name) const;
  // A list of strings that aren't empty; `or_text`: one string is a list of one.
  std::vector<std::string> texts(std::string_view name, bool or_text) const;
  std::optional<uint64_t> seed(std::string_view name) const;  // an integer, or digits as text

  [[noreturn]] void fail(std::string_view name, std::string_view expected) const;

 private:
  const nlohmann::ordered_json& object_;
};

constexpr int64_t kMaxTokenCount = INT32_MAX;

uint64_t random_seed();  // 32 bits

// temperature, top_k, top_p, typical_p, min_p, repetition_penalty and the two penalties, as far as
// `names` has them.
struct WarperSet {
  bool any = false;  // one of them was given a value that changes something
};
WarperSet read_warpers(const Parameters& parameters, SamplingParams& sampling);
// As a model's generation config has them; `sample` stays false.
SamplingParams default_sampling(const GenerationDefaults& defaults);

// The bytes of a random identifier: "chatcmpl-" + 24 letters and digits.
std::string completion_id();

}  // namespace tensormill
