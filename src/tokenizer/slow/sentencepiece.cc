#include "tokenizer/slow/sentencepiece.h"

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"

namespace tensormill {
namespace {

constexpr std::string_view kSpace = "\u2581";
using Type = SentencePieceModel::PieceType;

bool is_byte_piece(std::string_view text) {
  return text.size() == 6 && text.starts_with("<0x") && text.ends_with('>') &&
         text.substr(3, 2).find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

}  // namespace

SentencePiece::SentencePiece(SentencePieceModel model, const std::string& origin)
    : model_(std::move(model)) {
  if (!model_.charsmap.empty()) charsmap_.emplace(model_.charsmap, origin);
  std::vector<std::pair<std::string_view, int32_t>> texts, defined;
  bool first = true;
  unk_id_ = -1;
  for (int32_t id = 0; id < size(); ++id) {
    const auto& piece = model_.pieces[static_cast<size_t>(id)];
    if (piece.type == Type::kUnknown) unk_id_ = id;
    if (piece.type == Type::kByte && !is_byte_piece(piece.text)) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: piece {}: \"{}\" is no byte, expected <0xNN>",
                  origin, id, piece.text);
    }
    if (piece.type == Type::kControl || piece.type == Type::kUnknown || piece.type == Type::kByte) {
      reserved_.emplace(piece.text, id);
      continue;
    }
    texts.emplace_back(piece.text, id);
    if (piece.type == Type::kUserDefined) defined.emplace_back(piece.text, id);
    if (piece.type != Type::kNormal) continue;
    min_score_ = first ? piece.score : std::min(min_score_, piece.score);
    max_score_ = first ? piece.score : std::max(max_score_, piece.score);
    first = false;
  }
  if (unk_id_ < 0) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: no piece is of the unknown type", origin);
  }
  trie_ = DoubleArray(std::move(texts));
  user_defined_ = DoubleArray(std::move(defined));
}

std::optional<int32_t> SentencePiece::find(std::string_view piece) const {
  if (const auto found = reserved_.find(piece); found != reserved_.end()) return found->second;
  const DoubleArray::Node node =
      piece.empty() ? DoubleArray::kNone : trie_.walk(DoubleArray::kRoot, piece);
  if (node == DoubleArray::kNone || trie_.value(node) < 0) return std::nullopt;
  return trie_.value(node);
}

int32_t SentencePiece::id_of(std::string_view piece) const {
  return find(piece).value_or(unk_id_);
}

size_t SentencePiece::user_defined_at(std::string_view text) const {
  size_t longest = 0;
  DoubleArray::Node node = DoubleArray::kRoot;
  for (size_t i = 0; i < text.size(); ++i) {
    node = user_defined_.child(node, text[i]);
    if (node == DoubleArray::kNone) break;
    if (user_defined_.value(node) >= 0) longest = i + 1;
  }
  return longest;
}

std::pair<std::string_view, size_t> SentencePiece::normalize_prefix(std::string_view text) const {
  if (const size_t bytes = user_defined_at(text); bytes > 0) return {text.substr(0, bytes), bytes};
  if (charsmap_) {
    if (const auto found = charsmap_->find_longest(text)) return {found->text, found->bytes};
  }
  const size_t bytes = utf8_length(text[0]);
  return {text.substr(0, bytes), bytes};
}

std::string SentencePiece::normalize(std::string_view text) const {
  const std::string_view space = model_.escape_spaces ? kSpace : " ";
  if (model_.remove_extra_spaces) {
    while (!text.empty()) {
      const auto [replacement, bytes] = normalize_prefix(text);
      if (replacement != " ") break;
      text.remove_prefix(bytes);
    }
  }
  std::string result;
  if (text.empty()) return result;
  if (!model_.space_as_suffix && model_.add_dummy_prefix) result.append(space);
  bool after_space = model_.remove_extra_spaces;
  while (!text.empty()) {
    auto [replacement, bytes] = normalize_prefix(text);
    while (after_space && replacement.starts_with(' ')) replacement.remove_prefix(1);
    for (const char c : replacement) {
      if (c == ' ') {
        result.append(space);
      } else {
        result.push_back(c);
      }
    }
    if (!replacement.empty()) after_space = replacement.ends_with(' ');
    text.remove_prefix(bytes);
    if (!model_.remove_extra_spaces) after_space = false;
  }
  if (model_.remove_extra_spaces) {
    while (result.ends_with(space)) result.erase(result.size() - space.size());
  }
  if (model_.space_as_suffix && model_.add_dummy_prefix) result.append(space);
  return result;
}

std::vector<std::string> SentencePiece::encode(std::string_view given) const {
  const std::string text = normalize(given);
  std::vector<std::string_view> views;
  switch (model_.type) {
    case SentencePieceModel::Type::kUnigram:
      encode_unigram(text, views);
      break;
    case SentencePieceModel::Type::kBpe:
      encode_bpe(text, views);
      break;
    case SentencePieceModel::Type::kChar:
      encode_characters(text, views);
      break;
    case SentencePieceModel::Type::kWord:
      encode_words(text, views);
      break;
  }
  std::vector<std::string> pieces;
  bool after_unknown = false;
  for (const std::string_view view : views) {
    const bool unknown = id_of(view) == unk_id_;
    if (unknown && model_.byte_fallback) {
      for (const char byte : view) {
        pieces.push_back(fmt::format("<0x{:02X}>", static_cast<uint8_t>(byte)));
      }
    } else if (unknown && after_unknown) {
      pieces.back().append(view);
    } else {
      pieces.emplace_back(view);
    }
    after_unknown = unknown;
  }
  return pieces;
}

class SentencePiece::Decoder : public WholeTokenStep {
 public:
  explicit Decoder(const SentencePiece& model) : model_(model) {}

  void finish() override {
    flush_bytes(true);
    next().end_token();
    next().finish();
  }

 protected:
  void on_token(const std::string& piece) override {
    const int32_t id = model_.id_of(piece);
    if (model_.type_of(id) == Type::kByte) {
      bytes_.push_back(static_cast<char>(std::stoi(piece.substr(3, 2), nullptr, 16)));
      flush_bytes(false);
      return;
    }
    flush_bytes(true);
    const bool at_begin = !space_seen_ && !started_;
    space_seen_ = false;
    std::string_view text = piece;
    if (model_.type_of(id) == Type::kControl) {
      text = "";
    } else if (id == model_.unk_id_) {
      if (piece == model_.piece(id)) text = model_.model_.unk_surface;
    } else {
      if (at_begin && (model_.model_.add_dummy_prefix || model_.model_.remove_extra_spaces) &&
          text.starts_with(kSpace)) {
        text.remove_prefix(kSpace.size());
        space_seen_ = !model_.model_.remove_extra_spaces;
      }
      write_with_spaces(text);
      return;
    }
    write(text);
  }

 private:
  void write(std::string_view text) {
    if (text.empty()) return;
    started_ = true;
    next().feed(text);
  }

  void write_with_spaces(std::string_view text) {
    size_t done = 0;
    for (size_t at; (at = text.find(kSpace, done)) != std::string_view::npos;
         done = at + kSpace.size()) {
      write(text.substr(done, at - done));
      write(" ");
    }
    write(text.substr(done));
  }

  // Whole code points of the bytes so far; a byte that belongs to none is a U+FFFD.
  void flush_bytes(bool all) {
    while (!bytes_.empty()) {
      const auto lead = static_cast<uint8_t>(bytes_[0]);
      const size_t length = lead < 0x80   ? 1
                            : lead < 0xc2 ? 0
                            : lead < 0xe0 ? 2
                            : lead < 0xf0 ? 3
                            : lead < 0xf5 ? 4
                                          : 0;
      if (length > bytes_.size() && !all && incomplete_utf8_tail(bytes_) == bytes_.size()) return;
      const std::string_view whole = std::string_view(bytes_).substr(0, length);
      const bool valid = length > 0 && whole.size() == length &&
                         find_invalid_utf8(whole) == std::string_view::npos;
      write(valid ? whole : "\ufffd");
      bytes_.erase(0, valid ? length : 1);
    }
  }

  const SentencePiece& model_;
  std::string bytes_;
  bool space_seen_ = false, started_ = false;
};

std::unique_ptr<DecodeStep> SentencePiece::make_decoder() const {
  return std::make_unique<Decoder>(*this);
}

}  // namespace tensormill
