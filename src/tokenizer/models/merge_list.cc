#include "tokenizer/models/merge_list.h"

#include "base/error.h"
#include "base/json.h"
#include "tokenizer/raw_json.h"

namespace tensormill {
namespace {

// False when the text is no merge. Lines that name a version are none either, but may be there.
bool add_line(std::string_view text, MergeList& merges) {
  if (text.starts_with("#version")) return true;
  const size_t space = text.find(' ');
  if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) {
    return false;
  }
  merges.emplace_back(text.substr(0, space), text.substr(space + 1));
  return true;
}

bool read_raw_pair(JsonScanner& scanner, std::string& left, MergeList& merges) {
  std::string_view part;
  if (!scanner.take('[') || !scanner.string(part)) return false;
  left = part;
  if (!scanner.take(',') || !scanner.string(part) || !scanner.take(']')) return false;
  merges.emplace_back(left, part);
  return true;
}

bool read_raw(std::string_view text, MergeList& merges) {
  JsonScanner scanner(text);
  if (!scanner.take('[')) return false;
  if (scanner.take(']')) return scanner.at_end();
  const bool pairs = scanner.peek('[');
  std::string left;
  std::string_view line;
  do {
    const bool read = pairs ? read_raw_pair(scanner, left, merges)
                            : scanner.string(line) && add_line(line, merges);
    if (!read) return false;
  } while (scanner.take(','));
  return scanner.take(']') && scanner.at_end();
}

}  // namespace

void MergeList::emplace_back(std::string_view left, std::string_view right) {
  if (texts_.size() + left.size() + right.size() > UINT32_MAX) {
    throw_error(ErrorKind::kArtifactInvalid, "merges of more than 4 GiB of text");
  }
  merges_.push_back({static_cast<uint32_t>(texts_.size()), static_cast<uint32_t>(left.size()),
                     static_cast<uint32_t>(right.size())});
  texts_.insert(texts_.end(), left.begin(), left.end());
  texts_.insert(texts_.end(), right.begin(), right.end());
}

MergeList read_merges(const JsonNode& node) {
  MergeList merges;
  if (const auto raw = raw_text(node.value())) {
    merges.reserve(raw->size() / 16);
    if (!read_raw(*raw, merges)) throw RawJsonUnclear();
    return merges;
  }
  if (!node.value().is_array()) node.fail("expected an array");
  merges.reserve(node.value().size());
  for (size_t i = 0; i < node.value().size(); ++i) {
    const Json& merge = node.value()[i];
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      merges.emplace_back(merge[0].get_ref<const std::string&>(),
                          merge[1].get_ref<const std::string&>());
    } else if (!merge.is_string() || !add_line(merge.get_ref<const std::string&>(), merges)) {
      throw_error(ErrorKind::kArtifactInvalid,
                  "{}[{}]: expected \"left right\" or [\"left\", \"right\"]", node.where(), i);
    }
  }
  return merges;
}

}  // namespace tensormill
