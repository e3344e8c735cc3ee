#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace tensormill {

// A regular expression as the training program's language has them, over names of modules.
class NamePattern {
 public:
  // Errors: kArtifactInvalid with `origin`, the pattern and what is wrong with it.
  NamePattern(const std::string& pattern, std::string_view origin);
  ~NamePattern();
  NamePattern(NamePattern&&) noexcept;
  NamePattern& operator=(NamePattern&&) noexcept;

  // Whether the name begins with a match; `whole`: is one from end to end. Errors: kArtifactInvalid
  // where that takes too many steps.
  bool matches(std::string_view name, bool whole) const;
  // What group 1 of a match at the beginning holds.
  std::optional<std::string> first_group(std::string_view name) const;

 private:
  struct Code;
  std::unique_ptr<Code> code_;
};

}  // namespace tensormill
