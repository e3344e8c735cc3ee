#include "base/json.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "base/read_file.h"

namespace tensormill {
namespace {

constexpr std::uintmax_t kMaxFileBytes = std::uintmax_t{1} << 30;
constexpr int kMaxDepth = 512;

// "line 3, column 7" of a byte offset.
std::string place(std::string_view text, size_t byte) {
  const std::string_view before = text.substr(0, std::min(byte, text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t start = before.rfind('\n');
  const size_t column = before.size() - (start == std::string_view::npos ? 0 : start + 1);
  return fmt::format("line {}, column {}", line, std::max<size_t>(column, 1));
}

}  // namespace

Json parse_json(std::string_view text, std::string_view origin) {
  const auto check_depth = [&](int depth, Json::parse_event_t, Json&) {
    if (depth > kMaxDepth) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: nested deeper than {} levels", origin,
                  kMaxDepth);
    }
    return true;
  };
  try {
    return Json::parse(text, check_depth);
  } catch (const Json::parse_error& error) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: no valid JSON at {}", origin,
                place(text, error.byte));
  } catch (const Json::out_of_range&) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: a number in it is beyond a double's range",
                origin);
  }
}

std::string read_json_text(const std::filesystem::path& file) {
  return read_file(file, kMaxFileBytes);
}

Json read_json_file(const std::filesystem::path& file) {
  return parse_json(read_json_text(file), file.string());
}

}  // namespace tensormill
