#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "artifacts/name_pattern.h"

namespace tensormill {

// Which modules a list or a pattern of adapter_config.json names.
class ModuleChoice {
 public:
  ModuleChoice() = default;
  // `names`: whole names of modules, or their last parts.
  explicit ModuleChoice(std::vector<std::string> names) : names_(std::move(names)) {}
  explicit ModuleChoice(NamePattern pattern) : pattern_(std::move(pattern)) {}

  bool has(std::string_view module) const;
  bool is_pattern() const { return pattern_.has_value(); }
  const std::vector<std::string>& names() const { return names_; }

 private:
  std::vector<std::string> names_;
  std::optional<NamePattern> pattern_;
};

// What adapter_config.json says of a LoRA adapter, with peft's meaning and defaults. Modules are
// called by their names in the base model.
struct AdapterConfig {
  std::string file;  // for messages
  std::string base, revision;
  int64_t rank = 8;
  double alpha = 8;
  bool rank_stabilized = false;  // scaled by 1 / sqrt(rank), not 1 / rank
  bool decomposed = false;       // DoRA: rows have magnitudes of their own
  bool ties_weights = false;     // what changes a tied tensor changes it for both of its uses
  bool all_targets = false;      // "all-linear"
  ModuleChoice targets, excluded;
  std::vector<int64_t> layers;  // empty: all
  std::vector<NamePattern> layer_patterns;
  std::vector<std::pair<NamePattern, int64_t>> ranks;      // of modules that match
  std::vector<std::pair<NamePattern, double>> alphas;      // the first match counts
  std::vector<std::pair<std::string, NamePattern>> saved;  // modules that are replaced whole
  // Rows of embeddings that are replaced, by the module's last part.
  std::map<std::string, std::vector<int64_t>, std::less<>> tokens;

  bool targets_module(std::string_view module) const;
  bool saves_module(std::string_view module) const;
  int64_t rank_of(std::string_view module) const;
  // What the product of the two small matrices is multiplied with.
  float scale_of(std::string_view module) const;
};

// Errors: kUnsupported naming a method or an option that can't be merged; kArtifactInvalid naming
// the file, the key and what was expected.
AdapterConfig read_adapter_config(const std::filesystem::path& file);
AdapterConfig parse_adapter_config(std::string_view text, const std::string& file);

}  // namespace tensormill
