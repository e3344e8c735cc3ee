#include <algorithm>
#include <queue>

#include "base/utf8.h"
#include "tokenizer/slow/sentencepiece.h"

namespace tensormill {
namespace {

constexpr std::string_view kSpace = "\u2581";
constexpr float kUnknownPenalty = 10;
using Type = SentencePieceModel::PieceType;

}  // namespace

// The way of the highest score, each step of which is a piece or one unknown character.
void SentencePiece::encode_unigram(std::string_view text,
                                   std::vector<std::string_view>& pieces) const {
  struct Node {
    float score = 0;
    int32_t begin = -1;
  };
  std::vector<Node> best(text.size() + 1);
  const auto offer = [&](size_t begin, size_t end, double score) {
    Node& node = best[end];
    const double total = score + static_cast<double>(best[begin].score);
    if (node.begin >= 0 && total <= static_cast<double>(node.score)) return;
    node = {static_cast<float>(total), static_cast<int32_t>(begin)};
  };
  for (size_t begin = 0; begin < text.size();) {
    const size_t character = utf8_length(text[begin]);
    bool single = false;
    DoubleArray::Node node = DoubleArray::kRoot;
    for (size_t i = begin; i < text.size(); ++i) {
      node = trie_.child(node, text[i]);
      if (node == DoubleArray::kNone) break;
      const int32_t id = trie_.value(node);
      if (id < 0 || type_of(id) == Type::kUnused) continue;
      const size_t length = i + 1 - begin;
      const bool defined = type_of(id) == Type::kUserDefined;
      offer(begin, i + 1,
            defined ? static_cast<double>(static_cast<float>(length) * max_score_) - 0.1
                    : static_cast<double>(model_.pieces[static_cast<size_t>(id)].score));
      single = single || length == character;
    }
    if (!single) {
      offer(begin, begin + character, static_cast<double>(min_score_ - kUnknownPenalty));
    }
    begin += character;
  }
  for (size_t end = text.size(); end > 0;) {
    const auto begin = static_cast<size_t>(best[end].begin);
    pieces.push_back(text.substr(begin, end - begin));
    end = begin;
  }
  std::reverse(pieces.begin(), pieces.end());
}

struct SentencePiece::Symbol {
  size_t begin, bytes;
  int32_t previous, next;
  bool frozen;  // a user-defined piece, which nothing merges with
};

// Neighbours whose text is the piece of the highest score become one, the leftmost first.
void SentencePiece::encode_bpe(std::string_view text, std::vector<std::string_view>& pieces) const {
  struct Pair {
    float score;
    int32_t left, right;
    size_t bytes;
    bool operator<(const Pair& other) const {
      return score < other.score || (score == other.score && left > other.left);
    }
  };
  std::vector<Symbol> symbols;
  for (size_t at = 0; at < text.size();) {
    const size_t defined = user_defined_at(text.substr(at));
    const size_t bytes = defined > 0 ? defined : utf8_length(text[at]);
    const auto index = static_cast<int32_t>(symbols.size());
    symbols.push_back({at, bytes, index - 1, index + 1, defined > 0});
    at += bytes;
  }
  if (symbols.empty()) return;
  symbols.back().next = -1;
  std::priority_queue<Pair> queue;
  std::unordered_map<std::string_view, std::pair<size_t, size_t>> unused;  // how it was merged
  const auto symbol = [&](int32_t index) -> Symbol& { return symbols[static_cast<size_t>(index)]; };
  const auto offer = [&](int32_t left, int32_t right) {
    if (left < 0 || right < 0 || symbol(left).frozen || symbol(right).frozen) return;
    const size_t bytes = symbol(left).bytes + symbol(right).bytes;
    const std::string_view merged = text.substr(symbol(left).begin, bytes);
    const DoubleArray::Node node = trie_.walk(DoubleArray::kRoot, merged);
    if (node == DoubleArray::kNone || trie_.value(node) < 0) return;
    const int32_t id = trie_.value(node);
    queue.push({model_.pieces[static_cast<size_t>(id)].score, left, right, bytes});
    if (type_of(id) == Type::kUnused) {
      unused[merged] = {symbol(left).bytes, symbol(right).bytes};
    }
  };
  for (int32_t i = 0; i + 1 < static_cast<int32_t>(symbols.size()); ++i) offer(i, i + 1);
  while (!queue.empty()) {
    const Pair top = queue.top();
    queue.pop();
    Symbol& left = symbol(top.left);
    Symbol& right = symbol(top.right);
    if (left.bytes == 0 || right.bytes == 0 || left.bytes + right.bytes != top.bytes) continue;
    left.bytes = top.bytes;
    left.next = right.next;
    if (right.next >= 0) symbol(right.next).previous = top.left;
    right.bytes = 0;
    offer(left.previous, top.left);
    offer(top.left, left.next);
  }
  // Pieces that are only steps on the way to others come apart again.
  std::vector<std::string_view> stack;
  for (int32_t i = 0; i >= 0; i = symbol(i).next) {
    stack.push_back(text.substr(symbol(i).begin, symbol(i).bytes));
    while (!stack.empty()) {
      const std::string_view piece = stack.back();
      stack.pop_back();
      const auto parts = unused.find(piece);
      if (type_of(id_of(piece)) != Type::kUnused || parts == unused.end()) {
        pieces.push_back(piece);
        continue;
      }
      stack.push_back(piece.substr(parts->second.first));
      stack.push_back(piece.substr(0, parts->second.first));
    }
  }
}

void SentencePiece::encode_characters(std::string_view text,
                                      std::vector<std::string_view>& pieces) const {
  for (size_t at = 0; at < text.size();) {
    const size_t defined = user_defined_at(text.substr(at));
    const size_t bytes = defined > 0 ? defined : utf8_length(text[at]);
    pieces.push_back(text.substr(at, bytes));
    at += bytes;
  }
}

void SentencePiece::encode_words(std::string_view text,
                                 std::vector<std::string_view>& pieces) const {
  size_t begin = 0;
  const bool suffix = model_.space_as_suffix;
  for (size_t at = 0; at < text.size();) {
    const bool space = text.substr(at).starts_with(kSpace);
    const size_t bytes = utf8_length(text[at]);
    const size_t cut = suffix ? at + bytes : at;
    if (space && cut > begin) {
      pieces.push_back(text.substr(begin, cut - begin));
      begin = cut;
    }
    at += bytes;
  }
  if (begin < text.size()) pieces.push_back(text.substr(begin));
}

}  // namespace tensormill
