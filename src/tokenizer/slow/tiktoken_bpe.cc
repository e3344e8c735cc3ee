#include "tokenizer/slow/tiktoken_bpe.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <tuple>

#include "base/error.h"
#include "tokenizer/slow/vocabulary_files.h"

namespace tensormill {

TiktokenBpe::TiktokenBpe(const std::filesystem::path& file, std::string_view pattern)
    : pattern_(pattern, file.string()), tokens_(read_tiktoken_file(file)) {
  for (const auto& [text, rank] : tokens_) {
    if (!ranks_.emplace(text, rank).second || !texts_.emplace(rank, &text).second) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: rank {}: the token or the rank is there twice",
                  file.string(), rank);
    }
    id_bound_ = std::max(id_bound_, rank + 1);
  }
  for (int byte = 0; byte < 256; ++byte) {
    const char text = static_cast<char>(byte);
    if (!ranks_.contains(std::string_view(&text, 1))) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: byte {} is no token; expected all 256",
                  file.string(), byte);
    }
  }
}

void TiktokenBpe::encode(std::string_view text, std::vector<int32_t>& ids) const {
  ByteRanges matches;
  pattern_.find_all(text, matches);
  for (const auto& [begin, end] : matches) encode_part(text.substr(begin, end - begin), ids);
}

void TiktokenBpe::encode_part(std::string_view part, std::vector<int32_t>& ids) const {
  if (const auto whole = find(part)) {
    ids.push_back(*whole);
    return;
  }
  // Parts by their first byte; an end of 0 marks one that became a part of another.
  std::vector<size_t> ends(part.size()), previous(part.size());
  using Candidate = std::tuple<int32_t, size_t, size_t>;  // rank, begin, end
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto offer = [&](size_t left) {
    const size_t right = ends[left];
    if (right >= part.size()) return;
    if (const auto rank = find(part.substr(left, ends[right] - left))) {
      queue.emplace(*rank, left, ends[right]);
    }
  };
  for (size_t i = 0; i < part.size(); ++i) {
    ends[i] = i + 1;
    previous[i] = i == 0 ? part.size() : i - 1;
  }
  for (size_t i = 0; i + 1 < part.size(); ++i) offer(i);
  while (!queue.empty()) {
    const auto [rank, left, end] = queue.top();
    queue.pop();
    if (ends[left] == 0) continue;
    const size_t right = ends[left];
    if (right >= part.size() || ends[right] != end) continue;  // merged otherwise meanwhile
    ends[left] = end;
    ends[right] = 0;
    if (end < part.size()) previous[end] = left;
    if (previous[left] < part.size()) offer(previous[left]);
    offer(left);
  }
  for (size_t i = 0; i < part.size(); i = ends[i]) {
    ids.push_back(ranks_.at(part.substr(i, ends[i] - i)));
  }
}

std::optional<int32_t> TiktokenBpe::find(std::string_view bytes) const {
  const auto found = ranks_.find(bytes);
  return found == ranks_.end() ? std::nullopt : std::optional(found->second);
}

const std::string* TiktokenBpe::bytes(int32_t id) const {
  const auto found = texts_.find(id);
  return found == texts_.end() ? nullptr : found->second;
}

}  // namespace tensormill
