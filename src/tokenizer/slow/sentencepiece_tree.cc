#include "tokenizer/slow/sentencepiece_tree.h"

#include <algorithm>
#include <tuple>
#include <unordered_map>

#include "base/error.h"
#include "base/utf8.h"

namespace tensormill {
namespace {

constexpr std::string_view kTab = "\t", kTabByte = "<0x09>";

// SentencePiece merges what makes the piece of the highest score; BPE wants ranks of pairs. So each
// way to make a piece of two others is a merge, the best pieces first, long left parts first.
Json merges_by_score(const SentencePieceModel& model, const ScoredPieces& scored,
                     bool tab_is_byte) {
  std::unordered_map<std::string_view, int32_t> ids;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    ids[model.pieces[id].text] = static_cast<int32_t>(id);
  }
  if (tab_is_byte && !ids.contains(kTab) && ids.contains(kTabByte)) ids[kTab] = ids[kTabByte];
  // Of equal pieces the first one's place counts and the last one's score.
  std::unordered_map<std::string_view, double> scores;
  for (const auto& [text, score] : scored) scores[text] = score;
  struct Candidate {
    double score;
    size_t left_length, right_length;  // code points
    int32_t left, right;
    std::string_view left_text, right_text;
  };
  std::vector<Candidate> candidates;
  std::unordered_map<std::string_view, bool> done;
  for (const auto& [owned, unused] : scored) {
    const std::string_view text = owned;
    if (!done.emplace(text, true).second) continue;
    const size_t length = count_code_points(text);
    const auto first = static_cast<ptrdiff_t>(candidates.size());
    size_t at = 0;
    for (size_t left_length = 1; left_length < length; ++left_length) {
      at += utf8_length(text[at]);
      const auto left = ids.find(text.substr(0, at)), right = ids.find(text.substr(at));
      if (left == ids.end() || right == ids.end()) continue;
      candidates.push_back({scores[text], left_length, length - left_length, left->second,
                            right->second, text.substr(0, at), text.substr(at)});
    }
    std::stable_sort(candidates.begin() + first, candidates.end(),
                     [](const Candidate& a, const Candidate& b) {
                       return std::tie(a.left, a.right) < std::tie(b.left, b.right);
                     });
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) {
                     return std::tie(b.score, b.left_length, b.right_length) <
                            std::tie(a.score, a.left_length, a.right_length);
                   });
  Json merges = Json::array();
  for (const Candidate& c : candidates) {
    merges.push_back(Json::array({c.left_text, c.right_text}));
  }
  return merges;
}

Json added_pieces(const SentencePieceModel& model) {
  using Type = SentencePieceModel::PieceType;
  Json added = Json::array();
  for (const auto& piece : model.pieces) {
    if (piece.type != Type::kControl && piece.type != Type::kUserDefined) continue;
    added.push_back({{"content", piece.text},
                     {"special", piece.type == Type::kControl},
                     {"normalized", false}});
  }
  return added;
}

}  // namespace

void set_sentencepiece_model(const SentencePieceModel& model, const ScoredPieces& pieces,
                             const SentencePieceOptions& options, const std::string& file,
                             Json& tree) {
  if (model.type == SentencePieceModel::Type::kUnigram) {
    Json list = Json::array();
    for (const auto& [text, score] : pieces) list.push_back(Json::array({text, score}));
    tree["model"] = {{"type", "Unigram"},
                     {"unk_id", options.unk_id},
                     {"byte_fallback", options.byte_fallback},
                     {"vocab", std::move(list)}};
  } else if (model.type == SentencePieceModel::Type::kBpe) {
    Json vocabulary = Json::object();
    int32_t id = 0;
    for (const auto& [text, score] : pieces) vocabulary[text] = id++;
    tree["model"] = {{"type", "BPE"},
                     {"unk_token", model.unk_piece},
                     {"fuse_unk", true},
                     {"byte_fallback", options.byte_fallback},
                     {"vocab", std::move(vocabulary)},
                     {"merges", merges_by_score(model, pieces, options.tab_is_byte)}};
  } else {
    throw_error(ErrorKind::kUnsupported,
                "{}: a SentencePiece model of type {}; this tokenizer's class reads 1 (unigram) "
                "and 2 (BPE)",
                file, static_cast<int>(model.type));
  }
  tree["added_tokens"] = added_pieces(model);
}

}  // namespace tensormill
