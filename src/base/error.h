#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace tensormill {

// What went wrong, as far as a caller may act on it. The server maps kinds to statuses in one
// place.
enum class ErrorKind {
  kBadRequest,       // a client's parameter or body
  kNotFound,         // a model, file or route that isn't there
  kConflict,         // a name that is taken
  kOverloaded,       // a full queue
  kUnsupported,      // understood, but this build can't do it
  kArtifactInvalid,  // a model file that contradicts itself or its format
  kConfigInvalid,    // a setting with a value that isn't allowed
  kOutOfMemory,
  kTimeout,
  kInternal,
};

// The one exception type. The message names the file, key or field and what was expected.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

// throw_error(ErrorKind::kArtifactInvalid, "{}: header is {} bytes, the file has {}", path, n,
// size)
template <class... Args>
[[noreturn]] void throw_error(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace tensormill
