#include "tokenizer/models/bpe.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "base/log_once.h"
#include "base/utf8.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/models/text_model.h"
#include "tokenizer/models/word_cache.h"

namespace tensormill {
namespace {

constexpr std::string_view kWordStart = "\u2581";
constexpr size_t kShortWord = 48;  // symbols up to which scanning beats a queue

// Training leaves merges out by chance; to serve means to give the same answer twice.
void check_dropout(const JsonNode& node) {
  const auto dropout = node.find("dropout");
  if (!dropout) return;
  const double share = dropout->value().is_number() ? dropout->value().get<double>() : -1;
  if (!(share >= 0 && share <= 1)) dropout->fail("expected a number from 0 to 1");
  if (share > 0) info_once(fmt::format("{}: {} is not applied", dropout->where(), share));
}

// The ids of merges' texts, in order. Their places in the vocabulary are fetched some merges ahead.
class MergeReader {
 public:
  struct Ids {
    int32_t left, right, merged;  // -1: not in the vocabulary
  };
  MergeReader(const Vocabulary& vocabulary, const MergeList& merges, size_t prefix)
      : vocabulary_(vocabulary), merges_(merges), prefix_(prefix) {
    for (size_t i = 0; i < kAhead; ++i) fetch(i);
  }

  Ids next() {
    const Hashes hashes = ring_[rank_ % kAhead];
    const auto [left, right] = merges_[rank_];
    const Ids ids = {vocabulary_.find(left, hashes.left), vocabulary_.find(right, hashes.right),
                     vocabulary_.find(merged_text(rank_), hashes.merged)};
    fetch(rank_ + kAhead);
    ++rank_;
    return ids;
  }

  // The left text and the right one without its prefix. Valid until the next call.
  std::string_view merged_text(size_t rank) {
    if (prefix_ == 0) return merges_.joined(rank);
    const auto [left, right] = merges_[rank];
    shortened_.assign(left).append(right.substr(std::min(prefix_, right.size())));
    return shortened_;
  }

 private:
  static constexpr size_t kAhead = 8;
  struct Hashes {
    uint32_t left, right, merged;
  };

  void fetch(size_t rank) {
    if (rank >= merges_.size()) return;
    const auto [left, right] = merges_[rank];
    const Hashes hashes = {Vocabulary::hash(left), Vocabulary::hash(right),
                           Vocabulary::hash(merged_text(rank))};
    for (const uint32_t hash : {hashes.left, hashes.right, hashes.merged}) {
      vocabulary_.prefetch(hash);
    }
    ring_[rank % kAhead] = hashes;
  }

  const Vocabulary& vocabulary_;
  const MergeList& merges_;
  size_t prefix_, rank_ = 0;
  std::array<Hashes, kAhead> ring_{};
  std::string shortened_;
};

}  // namespace

struct Bpe::Scratch : ModelScratch {
  struct Link {
    int32_t previous, next;
  };
  struct Candidate {
    int32_t rank, position, id;
    bool operator>(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : position > other.position;
    }
  };
  WordCache cache;
  std::vector<ModelToken> symbols, tokens;
  std::vector<int32_t> ranks;
  std::vector<Link> links;
  std::vector<Candidate> queue;
};

Bpe::Bpe(Vocabulary vocabulary, const Merges& merges, BpeOptions options, const std::string& origin)
    : vocabulary_(std::move(vocabulary)), options_(std::move(options)), merges_(merges.size()) {
  add_merges(merges, origin);
  find_units();
  splits_words_ = words_are_separate(merges);
}

void Bpe::add_merges(const Merges& merges, const std::string& origin) {
  if (merges.size() >= static_cast<size_t>(MergeTable::kNone)) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: too many merges", origin);
  }
  MergeReader reader(vocabulary_, merges, options_.prefix.size());
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const MergeReader::Ids ids = reader.next();
    const auto require = [&](int32_t id, std::string_view token) {
      if (id >= 0) return;
      throw_error(ErrorKind::kArtifactInvalid,
                  "{}: merge {} (\"{}\" \"{}\"): \"{}\" is not in the vocabulary", origin, rank,
                  merges[rank].first, merges[rank].second, token);
    };
    require(ids.left, merges[rank].first);
    require(ids.right, merges[rank].second);
    require(ids.merged, reader.merged_text(rank));
    merges_.add(ids.left, ids.right, ids.merged);
  }
}

void Bpe::find_units() {
  if (options_.unk_token) unk_id_ = vocabulary_.find(*options_.unk_token);
  plain_bytes_ = options_.prefix.empty() && options_.suffix.empty();
  for (size_t byte = 0; byte < 256; ++byte) {
    byte_ids_[byte] = vocabulary_.id_of(byte_character(static_cast<uint8_t>(byte))).value_or(-1);
    fallback_ids_[byte] = vocabulary_.id_of(fmt::format("<0x{:02X}>", byte)).value_or(-1);
    plain_bytes_ = plain_bytes_ && byte_ids_[byte] >= 0;
  }
}

bool Bpe::words_are_separate(const Merges& merges) const {
  if (!options_.prefix.empty() || !options_.suffix.empty() || options_.ignore_merges) return false;
  // A character that yields no token would shift the offsets of all that follow it.
  if (unk_id_ < 0 || !vocabulary_.id_of(kWordStart)) return false;
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const std::string_view merged = merges.joined(rank);
    bool inside = false;
    for (size_t i = 0; i < merged.size(); i += utf8_length(merged[i])) {
      const bool start = merged.substr(i).starts_with(kWordStart);
      if (start && inside) return false;
      inside = inside || !start;
    }
  }
  return true;
}

std::unique_ptr<ModelScratch> Bpe::make_scratch() const {
  return std::make_unique<Scratch>();
}

void Bpe::tokenize(std::string_view piece, bool byte_level, ModelScratch& opaque,
                   std::vector<ModelToken>& out) const {
  auto& scratch = static_cast<Scratch&>(opaque);
  if (!splits_words_ || byte_level) return tokenize_cached(piece, byte_level, scratch, out);
  size_t begin = 0;
  bool inside = false;
  for (size_t i = 0; i < piece.size(); i += utf8_length(piece[i])) {
    const bool start = piece.substr(i).starts_with(kWordStart);
    if (start && inside) {
      tokenize_cached(piece.substr(begin, i - begin), false, scratch, out);
      begin = i;
    }
    inside = !start;
  }
  if (begin < piece.size()) tokenize_cached(piece.substr(begin), false, scratch, out);
}

void Bpe::tokenize_cached(std::string_view word, bool byte_level, Scratch& scratch,
                          std::vector<ModelToken>& out) const {
  if (scratch.cache.find(word, byte_level, out)) return;
  scratch.tokens.clear();
  tokenize_word(word, byte_level, scratch, scratch.tokens);
  scratch.cache.store(word, byte_level, scratch.tokens);
  out.insert(out.end(), scratch.tokens.begin(), scratch.tokens.end());
}

void Bpe::tokenize_word(std::string_view word, bool byte_level, Scratch& scratch,
                        std::vector<ModelToken>& out) const {
  if (options_.ignore_merges) {
    std::string mapped;
    if (byte_level) {
      for (const char byte : word) mapped.append(byte_character(static_cast<uint8_t>(byte)));
    }
    if (const auto id = vocabulary_.id_of(byte_level ? mapped : word)) {
      out.push_back({*id, static_cast<uint32_t>(word.size())});
      return;
    }
  }
  std::vector<ModelToken>& symbols = scratch.symbols;
  symbols.clear();
  add_symbols(word, byte_level, symbols);
  if (symbols.size() <= kShortWord) {
    merge_short(symbols, scratch);
  } else {
    merge_long(symbols, scratch);
  }
  for (const ModelToken& symbol : symbols) {
    out.push_back({symbol.id, symbol.bytes == 0 ? kSamePlace : symbol.bytes});
  }
}

void Bpe::add_symbols(std::string_view word, bool byte_level,
                      std::vector<ModelToken>& symbols) const {
  if (byte_level && plain_bytes_) {
    for (const char byte : word) symbols.push_back({byte_ids_[static_cast<uint8_t>(byte)], 1});
  } else {
    add_character_symbols(word, byte_level, symbols);
  }
}

void Bpe::add_character_symbols(std::string_view word, bool byte_level,
                                std::vector<ModelToken>& symbols) const {
  ModelToken unk{-1, 0};  // not yet added, because more may be fused with it
  const auto flush = [&] {
    if (unk.id >= 0) symbols.push_back(unk);
    unk = {-1, 0};
  };
  std::string text;
  for (size_t i = 0; i < word.size();) {
    const size_t bytes = byte_level ? 1 : utf8_length(word[i]);
    text.assign(i > 0 ? options_.prefix : "");
    text.append(byte_level ? byte_character(static_cast<uint8_t>(word[i])) : word.substr(i, bytes));
    i += bytes;
    if (i >= word.size()) text.append(options_.suffix);
    if (const auto id = vocabulary_.id_of(text)) {
      flush();
      symbols.push_back({*id, static_cast<uint32_t>(bytes)});
    } else if (!options_.byte_fallback || !add_fallback(text, byte_level, symbols)) {
      if (!options_.fuse_unk) flush();
      if (unk_id_ < 0 && options_.unk_token) {
        fail_unknown(text,
                     fmt::format("unk_token \"{}\" is not in the vocabulary", *options_.unk_token));
      }
      if (unk_id_ >= 0) unk = {unk_id_, unk.bytes + static_cast<uint32_t>(bytes)};
    }
  }
  flush();
}

bool Bpe::add_fallback(std::string_view text, bool byte_level,
                       std::vector<ModelToken>& symbols) const {
  const auto id = [&](char byte) { return fallback_ids_[static_cast<uint8_t>(byte)]; };
  if (!std::all_of(text.begin(), text.end(), [&](char byte) { return id(byte) >= 0; })) {
    return false;
  }
  // All tokens of a character of the byte alphabet stand for one byte of the piece.
  for (size_t i = 0; i < text.size(); ++i) {
    symbols.push_back({id(text[i]), byte_level && i > 0 ? 0u : 1u});
  }
  return true;
}

void Bpe::merge_short(std::vector<ModelToken>& symbols, Scratch& scratch) const {
  auto& ranks = scratch.ranks;  // of the merge of symbols i and i + 1, or kNone
  ranks.clear();
  for (size_t i = 0; i + 1 < symbols.size(); ++i) {
    ranks.push_back(merges_.find(symbols[i].id, symbols[i + 1].id));
  }
  while (true) {
    size_t best = 0;
    int32_t rank = MergeTable::kNone;
    for (size_t i = 0; i < ranks.size(); ++i) {
      if (ranks[i] < rank) {
        rank = ranks[i];
        best = i;
      }
    }
    if (rank == MergeTable::kNone) return;
    symbols[best] = {merges_.id(rank), symbols[best].bytes + symbols[best + 1].bytes};
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(best) + 1);
    ranks.erase(ranks.begin() + static_cast<ptrdiff_t>(best));
    const auto refresh = [&](size_t i) {
      if (i < ranks.size()) ranks[i] = merges_.find(symbols[i].id, symbols[i + 1].id);
    };
    refresh(best);
    if (best > 0) refresh(best - 1);
  }
}

void Bpe::merge_long(std::vector<ModelToken>& symbols, Scratch& scratch) const {
  auto& links = scratch.links;
  auto& queue = scratch.queue;
  const auto count = static_cast<int32_t>(symbols.size());
  const auto at = [](int32_t i) { return static_cast<size_t>(i); };
  const std::greater<> later;
  links.clear();
  queue.clear();
  for (int32_t i = 0; i < count; ++i) links.push_back({i - 1, i + 1 < count ? i + 1 : -1});
  const auto candidate = [&](int32_t left, int32_t right) {
    if (left < 0 || right < 0) return false;
    const int32_t rank = merges_.find(symbols[at(left)].id, symbols[at(right)].id);
    if (rank != MergeTable::kNone) queue.push_back({rank, left, merges_.id(rank)});
    return rank != MergeTable::kNone;
  };
  for (int32_t i = 0; i + 1 < count; ++i) candidate(i, i + 1);
  std::make_heap(queue.begin(), queue.end(), later);
  while (!queue.empty()) {
    std::pop_heap(queue.begin(), queue.end(), later);
    const Scratch::Candidate top = queue.back();
    queue.pop_back();
    const int32_t left = top.position, right = links[at(left)].next;
    if (symbols[at(left)].id < 0 || right < 0) continue;  // merged away meanwhile
    const int32_t rank = merges_.find(symbols[at(left)].id, symbols[at(right)].id);
    if (rank == MergeTable::kNone || merges_.id(rank) != top.id) continue;
    symbols[at(left)] = {top.id, symbols[at(left)].bytes + symbols[at(right)].bytes};
    symbols[at(right)].id = -1;
    links[at(left)].next = links[at(right)].next;
    if (links[at(left)].next >= 0) links[at(links[at(left)].next)].previous = left;
    if (candidate(links[at(left)].previous, left)) {
      std::push_heap(queue.begin(), queue.end(), later);
    }
    if (candidate(left, links[at(left)].next)) std::push_heap(queue.begin(), queue.end(), later);
  }
  std::erase_if(symbols, [](const ModelToken& symbol) { return symbol.id < 0; });
}

std::unique_ptr<TokenModel> make_bpe(const JsonNode& node) {
  BpeOptions options;
  if (const auto unk = node.find("unk_token")) options.unk_token = unk->text();
  options.prefix = node.text_or("continuing_subword_prefix", "");
  options.suffix = node.text_or("end_of_word_suffix", "");
  options.fuse_unk = node.flag_or("fuse_unk", false);
  options.byte_fallback = node.flag_or("byte_fallback", false);
  options.ignore_merges = node.flag_or("ignore_merges", false);
  check_dropout(node);
  return std::make_unique<Bpe>(Vocabulary(node.at("vocab")), read_merges(node.at("merges")),
                               std::move(options), node.where());
}

}  // namespace tensormill
