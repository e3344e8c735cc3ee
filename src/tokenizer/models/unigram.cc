#include "tokenizer/models/unigram.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"
#include "tokenizer/raw_json.h"

namespace tensormill {
namespace {

constexpr double kUnknownPenalty = 10;

DoubleArray trie_of(const Vocabulary& vocabulary) {
  std::vector<std::pair<std::string_view, int32_t>> texts;
  texts.reserve(static_cast<size_t>(vocabulary.id_bound()));
  for (int32_t id = 0; id < vocabulary.id_bound(); ++id) {
    texts.emplace_back(vocabulary.token(id), vocabulary.find(vocabulary.token(id)));
  }
  return DoubleArray(std::move(texts));
}

bool read_raw(std::string_view text, std::vector<Unigram::Piece>& pieces) {
  JsonScanner scanner(text);
  if (!scanner.take('[')) return false;
  if (scanner.take(']')) return scanner.at_end();
  do {
    std::string_view piece;
    double score = 0;
    if (!scanner.take('[') || !scanner.string(piece)) return false;
    pieces.push_back({std::string(piece), 0});
    if (!scanner.take(',') || !scanner.number(score) || !scanner.take(']')) return false;
    pieces.back().score = score;
  } while (scanner.take(','));
  return scanner.take(']') && scanner.at_end();
}

std::vector<Unigram::Piece> read_pieces(const JsonNode& vocab) {
  std::vector<Unigram::Piece> pieces;
  if (const auto raw = raw_text(vocab.value())) {
    pieces.reserve(raw->size() / 32);
    if (!read_raw(*raw, pieces)) throw RawJsonUnclear();
    return pieces;
  }
  if (!vocab.value().is_array()) vocab.fail("expected an array");
  pieces.reserve(vocab.value().size());
  for (const Json& item : vocab.value()) {
    if (!item.is_array() || item.size() != 2 || !item[0].is_string() || !item[1].is_number()) {
      throw_error(ErrorKind::kArtifactInvalid, "{}[{}]: expected [\"token\", score]", vocab.where(),
                  pieces.size());
    }
    pieces.push_back({item[0].get<std::string>(), item[1].get<double>()});
  }
  return pieces;
}

}  // namespace

// The best way to a place in the text: its score, its last token and where that starts.
struct Unigram::Node {
  double score;
  int32_t id;
  uint32_t begin;
};

struct Unigram::Nodes : TextModel::Scratch {
  std::vector<Node> best;
};

std::unique_ptr<ModelScratch> Unigram::make_scratch() const {
  return std::make_unique<Nodes>();
}

Unigram::Unigram(const std::vector<Piece>& pieces, std::optional<int64_t> unk_id,
                 bool byte_fallback, const std::string& origin)
    : byte_fallback_(byte_fallback) {
  if (unk_id && (*unk_id < 0 || *unk_id >= static_cast<int64_t>(pieces.size()))) {
    throw_error(ErrorKind::kArtifactInvalid,
                "{}: unk_id is {}, expected a place in a vocabulary of {}", origin, *unk_id,
                pieces.size());
  }
  if (pieces.size() > static_cast<size_t>(kMaxTokenId)) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: a vocabulary of {} tokens, at most {}", origin,
                pieces.size(), kMaxTokenId);
  }
  double lowest = std::numeric_limits<double>::infinity();
  vocabulary_.reserve(pieces.size(), pieces.size() * 8);
  scores_.reserve(pieces.size());
  for (const Piece& piece : pieces) {
    vocabulary_.set(piece.text, size());
    scores_.push_back(piece.score);
    lowest = std::min(lowest, piece.score);
  }
  trie_ = trie_of(vocabulary_);
  unk_id_ = static_cast<int32_t>(unk_id.value_or(-1));
  unk_score_ = lowest - kUnknownPenalty;
  for (size_t byte = 0; byte < 256; ++byte) {
    fallback_ids_[byte] = vocabulary_.find(fmt::format("<0x{:02X}>", byte));
  }
}

void Unigram::find_best(std::string_view text, std::vector<Node>& best) const {
  constexpr int32_t kNowhere = -2;
  best.assign(text.size() + 1, {0, kNowhere, 0});
  const auto offer = [&](size_t end, const Node& node) {
    if (best[end].id == kNowhere || node.score > best[end].score) best[end] = node;
  };
  for (size_t begin = 0; begin < text.size();) {
    const double here = best[begin].score;
    const size_t character = utf8_length(text[begin]);
    const auto start = static_cast<uint32_t>(begin);
    DoubleArray::Node node = DoubleArray::kRoot;
    bool known = false;  // the character is a token
    for (size_t end = begin; end < text.size();) {
      node = trie_.child(node, text[end++]);
      if (node == DoubleArray::kNone) break;
      const int32_t id = trie_.value(node);
      if (id < 0) continue;
      offer(end, {scores_[static_cast<size_t>(id)] + here, id, start});
      known = known || end == begin + character;
    }
    if (!known) {
      const size_t end = begin + character;
      const double score = unk_score_ + here;
      if (best[end].id == kNowhere || score > best[end].score) {
        if (unk_id_ < 0) fail_unknown(text.substr(begin, character), "the model has no unk_id");
        best[end] = {score, unk_id_, start};
      }
    }
    begin += character;
  }
}

void Unigram::add_unknown(std::string_view text, std::vector<ModelToken>& out) const {
  const auto bytes = static_cast<uint32_t>(text.size());
  if (const int32_t id = vocabulary_.find(text); id >= 0) {
    out.push_back({id, bytes});
    return;
  }
  const auto fallback = [&](char byte) { return fallback_ids_[static_cast<uint8_t>(byte)]; };
  if (!byte_fallback_ ||
      !std::all_of(text.begin(), text.end(), [&](char byte) { return fallback(byte) >= 0; })) {
    out.push_back({unk_id_, bytes});
    return;
  }
  for (size_t i = 0; i < text.size(); ++i) {
    out.push_back({fallback(text[i]), i == 0 ? bytes : kSamePlace});
  }
}

void Unigram::tokenize_text(std::string_view text, Scratch& scratch,
                            std::vector<ModelToken>& out) const {
  std::vector<Node>& best = static_cast<Nodes&>(scratch).best;
  find_best(text, best);
  // Links point back; turned around, best[i].begin becomes where the token at i ends.
  for (size_t end = text.size(), next = 0; end > 0;) {
    Node& node = best[end];
    const size_t begin = node.begin;
    node.begin = static_cast<uint32_t>(next);
    next = end;
    end = begin;
    if (end == 0) best[0].begin = static_cast<uint32_t>(next);
  }
  for (size_t begin = 0; begin < text.size();) {
    size_t end = best[begin].begin;
    if (best[end].id != unk_id_) {
      out.push_back({best[end].id, static_cast<uint32_t>(end - begin)});
    } else {
      while (end < text.size() && best[best[end].begin].id == unk_id_) end = best[end].begin;
      add_unknown(text.substr(begin, end - begin), out);
    }
    begin = end;
  }
}

std::unique_ptr<TokenModel> make_unigram(const JsonNode& node) {
  const JsonNode vocab = node.at("vocab");
  const std::vector<Unigram::Piece> pieces = read_pieces(vocab);
  std::optional<int64_t> unk_id;
  if (const auto unk = node.find("unk_id")) unk_id = unk->integer(0, kMaxTokenId);
  return std::make_unique<Unigram>(pieces, unk_id, node.flag_or("byte_fallback", false),
                                   node.where());
}

}  // namespace tensormill
