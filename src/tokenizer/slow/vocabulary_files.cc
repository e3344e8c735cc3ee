#include "tokenizer/slow/vocabulary_files.h"

#include <unordered_map>

#include "base/error.h"
#include "base/read_file.h"
#include "base/utf8.h"
#include "tokenizer/json_node.h"
#include "tokenizer/models/model.h"

namespace tensormill {
namespace {

namespace fs = std::filesystem;

constexpr uintmax_t kMaxFileBytes = uintmax_t{1} << 28;
constexpr size_t kClipMerges = 49152 - 256 - 2;
constexpr std::string_view kBlanks = " \t\r\f\v";

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  size_t begin = 0;
  for (size_t end; (end = text.find('\n', begin)) != std::string_view::npos; begin = end + 1) {
    lines.push_back(text.substr(begin, end - begin));
  }
  lines.push_back(text.substr(begin));
  return lines;
}

// Python reads text files with \r and \r\n as line ends.
std::string with_plain_line_ends(const std::string& text) {
  if (text.find('\r') == std::string::npos) return text;
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r') {
      result.push_back(text[i]);
    } else if (i + 1 == text.size() || text[i + 1] != '\n') {
      result.push_back('\n');
    }
  }
  return result;
}

std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words;
  for (size_t at = 0; (at = line.find_first_not_of(kBlanks, at)) != std::string_view::npos;) {
    const size_t end = std::min(line.find_first_of(kBlanks, at), line.size());
    words.emplace_back(line.substr(at, end - at));
    at = end;
  }
  return words;
}

int base64_digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(std::string_view text, std::string& out) {
  if (text.empty() || text.size() % 4 != 0) return false;
  while (text.ends_with('=')) text.remove_suffix(1);
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int digit = base64_digit(c);
    if (digit < 0) return false;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    count += 6;
    if (count >= 8) out.push_back(static_cast<char>(bits >> (count -= 8)));
  }
  return true;
}

}  // namespace

FileMerges read_merges_file(const fs::path& file, MergeLines kind) {
  const std::string text = with_plain_line_ends(read_file(file, kMaxFileBytes));
  std::vector<std::string_view> lines = split_lines(text);
  size_t begin = 0, end = lines.size();
  if (kind == MergeLines::kInner || kind == MergeLines::kAllEnded) --end;
  if (kind == MergeLines::kInner || kind == MergeLines::kClip) begin = 1;
  if (kind == MergeLines::kAfterTitle && lines[0].starts_with("#version:")) begin = 1;
  if (kind == MergeLines::kClip) end = std::min(end, kClipMerges + 1);
  FileMerges merges;
  for (size_t i = begin; i < end; ++i) {
    std::vector<std::string> words = words_of(lines[i]);
    if (words.empty()) continue;
    const bool counted = kind == MergeLines::kAllEnded && words.size() > 2;  // a third: how often
    if ((words.size() != 2 && !counted) || find_invalid_utf8(lines[i]) != std::string::npos) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: line {}: expected \"left right\" in UTF-8",
                  file.string(), i + 1);
    }
    merges.emplace_back(std::move(words[0]), std::move(words[1]));
  }
  return merges;
}

Json read_vocabulary_json(const fs::path& file) {
  Json json = read_json_file(file);
  const JsonNode root(json, file.string());
  root.expect_object();
  std::unordered_map<int64_t, const std::string*> names;
  for (const auto& [token, id] : json.items()) {
    const JsonNode node(id, file.string(), fmt::format("\"{}\"", token));
    const int64_t value = node.integer(0, kMaxTokenId);
    const auto [known, added] = names.emplace(value, &token);
    if (!added) {
      node.fail(
          fmt::format("id {} is that of \"{}\" too; expected each id once", value, *known->second));
    }
  }
  return json;
}

std::vector<std::string> read_token_lines(const fs::path& file) {
  const std::string text = with_plain_line_ends(read_file(file, kMaxFileBytes));
  std::vector<std::string> tokens;
  const auto lines = split_lines(text);
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i + 1 == lines.size() && lines[i].empty()) break;
    if (find_invalid_utf8(lines[i]) != std::string::npos) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: line {}: expected a token in UTF-8",
                  file.string(), i + 1);
    }
    tokens.emplace_back(lines[i]);
  }
  return tokens;
}

std::vector<std::pair<std::string, int32_t>> read_tiktoken_file(const fs::path& file) {
  const std::string text = read_file(file, kMaxFileBytes);
  std::vector<std::pair<std::string, int32_t>> tokens;
  const auto lines = split_lines(text);
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::vector<std::string> words = words_of(lines[i]);
    if (words.empty()) continue;
    std::string token;
    const bool number = words.size() == 2 && words[1].size() <= 8 &&
                        words[1].find_first_not_of("0123456789") == std::string::npos;
    if (!number || std::stol(words[1]) > kMaxTokenId || !base64_decode(words[0], token)) {
      throw_error(ErrorKind::kArtifactInvalid,
                  "{}: line {}: expected a token in base64 and its rank", file.string(), i + 1);
    }
    tokens.emplace_back(std::move(token), static_cast<int32_t>(std::stol(words[1])));
  }
  if (tokens.empty()) throw_error(ErrorKind::kArtifactInvalid, "{}: no tokens", file.string());
  return tokens;
}

std::string base64_encode(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t bits = 0;
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    for (size_t k = 0; k < 3; ++k) {
      bits = bits << 8 | (k < count ? static_cast<uint8_t>(bytes[i + k]) : 0u);
    }
    for (size_t k = 0; k < 4; ++k) {
      out.push_back(k <= count ? kDigits[bits >> (18 - 6 * k) & 63] : '=');
    }
  }
  return out;
}

Json merges_json(const FileMerges& merges) {
  Json json = Json::array();
  for (const auto& [left, right] : merges) json.push_back(Json::array({left, right}));
  return json;
}

}  // namespace tensormill
