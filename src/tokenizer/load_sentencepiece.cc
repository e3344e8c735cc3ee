#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"
#include "tokenizer/loaders.h"
#include "tokenizer/models/bpe.h"
#include "tokenizer/sentencepiece_model.h"

namespace tensormill {
namespace {

constexpr const char* kSpace = "\u2581";
constexpr size_t kControlIds = 3;  // unk, bos and eos, whose scores don't count

// SentencePiece merges what makes the piece of the highest score; BPE wants ranks of pairs. So each
// way to make a piece of two others is a merge, the best pieces first, long left parts first.
Bpe::Merges make_merges(const SentencePieceModel& model, const Vocabulary& vocabulary) {
  struct Candidate {
    float score;
    size_t left_length, right_length;  // code points
    int32_t left, right;
  };
  std::vector<Candidate> candidates;
  for (int32_t id = 0; id < vocabulary.id_bound(); ++id) {
    const std::string_view text = vocabulary.token(id);
    const size_t length = count_code_points(text);
    const size_t first = candidates.size();
    size_t at = 0;
    for (size_t left_length = 1; left_length < length; ++left_length) {
      at += utf8_length(text[at]);
      const auto left = vocabulary.id_of(text.substr(0, at));
      const auto right = vocabulary.id_of(text.substr(at));
      if (!left || !right) continue;
      const float score =
          static_cast<size_t>(id) < kControlIds ? 0 : model.pieces[static_cast<size_t>(id)].score;
      candidates.push_back({score, left_length, length - left_length, *left, *right});
    }
    std::stable_sort(candidates.begin() + static_cast<ptrdiff_t>(first), candidates.end(),
                     [](const Candidate& a, const Candidate& b) {
                       return std::pair(a.left, a.right) < std::pair(b.left, b.right);
                     });
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) {
                     return std::tie(b.score, b.left_length, b.right_length) <
                            std::tie(a.score, a.left_length, a.right_length);
                   });
  Bpe::Merges merges;
  merges.reserve(candidates.size());
  for (const Candidate& c : candidates) {
    merges.emplace_back(vocabulary.token(c.left), vocabulary.token(c.right));
  }
  return merges;
}

void add_piece_tokens(const SentencePieceModel& model, PipelineParts& parts) {
  using Type = SentencePieceModel::PieceType;
  for (const auto& piece : model.pieces) {
    if (piece.type != Type::kControl && piece.type != Type::kUserDefined) continue;
    AddedToken token;
    token.content = piece.text;
    token.normalized = false;
    token.special = piece.type == Type::kControl;
    parts.added.add(token, *parts.model);
  }
}

}  // namespace

PipelineParts load_sentencepiece(const std::filesystem::path& file, const TokenizerConfig& config) {
  const SentencePieceModel model = read_sentencepiece(file);
  if (model.type != SentencePieceModel::Type::kBpe) {
    throw_error(ErrorKind::kUnsupported,
                "{}: SentencePiece model type {}; supported without a tokenizer.json: 2 (BPE)",
                file.string(), static_cast<int>(model.type));
  }
  Vocabulary vocabulary;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    vocabulary.add(model.pieces[id].text, static_cast<int32_t>(id));
  }
  BpeOptions options;
  options.unk_token = model.unk_piece;
  options.fuse_unk = true;
  options.byte_fallback = true;
  const Bpe::Merges merges = make_merges(model, vocabulary);
  PipelineParts parts;
  parts.model =
      std::make_unique<Bpe>(std::move(vocabulary), merges, std::move(options), file.string());

  const bool prefix = config.add_prefix_space.value_or(true);
  const auto replace = [](const char* from, const char* to) {
    return Json{{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
  };
  Json decoders =
      Json::array({replace(kSpace, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}});
  if (prefix) {
    decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  }
  const Json decoder = {{"type", "Sequence"}, {"decoders", decoders}};
  parts.decoder = make_decoder(JsonNode(decoder, file.string()));
  if (config.legacy.value_or(true)) {
    Json normalizers = Json::array();
    if (prefix) normalizers.push_back({{"type", "Prepend"}, {"prepend", kSpace}});
    normalizers.push_back(replace(" ", kSpace));
    const Json normalizer = {{"type", "Sequence"}, {"normalizers", normalizers}};
    parts.normalizer = make_normalizer(JsonNode(normalizer, file.string()));
  } else {
    const Json metaspace = {{"type", "Metaspace"},
                            {"replacement", kSpace},
                            {"prepend_scheme", prefix ? "first" : "never"},
                            {"split", false}};
    parts.pre_tokenizer = make_pre_tokenizer(JsonNode(metaspace, file.string()));
  }
  add_piece_tokens(model, parts);
  return parts;
}

}  // namespace tensormill
