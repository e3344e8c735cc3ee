#include "tokenizer/sentencepiece_model.h"

#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/read_file.h"
#include "base/utf8.h"

namespace tensormill {
namespace {

constexpr uintmax_t kMaxFileBytes = uintmax_t{1} << 28;
constexpr size_t kMaxPieces = size_t{1} << 22, kMaxPieceBytes = 1000;

// The fields of a protobuf message, one after the other.
class Message {
 public:
  Message(std::string_view bytes, size_t offset, std::string_view origin)
      : bytes_(bytes), offset_(offset), origin_(origin) {}

  // Moves to the next field; false at the end.
  bool next() {
    if (at_ == bytes_.size()) return false;
    const uint64_t key = varint();
    field_ = static_cast<uint32_t>(key >> 3);
    wire_ = static_cast<int>(key & 7);
    switch (wire_) {
      case 0:
        number_ = varint();
        break;
      case 1:
        take(8);
        break;
      case 2:
        take(varint());
        break;
      case 5:
        take(4);
        break;
      default:
        fail("unknown wire type");
    }
    return true;
  }

  uint32_t field() const { return field_; }
  uint64_t number() const {
    if (wire_ != 0) fail("expected a number");
    return number_;
  }
  float real() const {
    if (wire_ != 5) fail("expected a float");
    float value;
    std::memcpy(&value, data_.data(), 4);
    return value;
  }
  std::string_view data() const {
    if (wire_ != 2) fail("expected a string or message");
    return data_;
  }
  Message message() const {
    const std::string_view inner = data();
    return Message(inner, offset_ + static_cast<size_t>(inner.data() - bytes_.data()), origin_);
  }

  [[noreturn]] void fail(std::string_view what) const {
    throw_error(ErrorKind::kArtifactInvalid, "{}: no SentencePiece model: {} before byte {}",
                origin_, what, offset_ + at_);
  }

 private:
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ == bytes_.size()) fail("the file ends inside a number");
      const auto byte = static_cast<uint8_t>(bytes_[at_++]);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    fail("a number of more than 64 bits");
  }
  void take(uint64_t count) {
    if (count > bytes_.size() - at_) fail("a field reaches over the end");
    data_ = bytes_.substr(at_, count);
    at_ += count;
  }

  std::string_view bytes_;
  size_t offset_, at_ = 0;  // offset_: of bytes_ in the file
  std::string_view origin_;
  uint32_t field_ = 0;
  int wire_ = 0;
  uint64_t number_ = 0;
  std::string_view data_;
};

SentencePieceModel::Piece read_piece(Message message) {
  SentencePieceModel::Piece piece;
  while (message.next()) {
    if (message.field() == 1) {
      if (message.data().size() > kMaxPieceBytes) message.fail("a piece of over 1000 bytes");
      if (find_invalid_utf8(message.data()) != std::string::npos) {
        message.fail("a piece that is no UTF-8");
      }
      piece.text = message.data();
    } else if (message.field() == 2) {
      piece.score = message.real();
      if (std::isnan(piece.score)) message.fail("a score that is no number");
    } else if (message.field() == 3) {
      if (message.number() < 1 || message.number() > 6) message.fail("an unknown type of piece");
      piece.type = static_cast<SentencePieceModel::PieceType>(message.number());
    }
  }
  return piece;
}

std::string text_of(const Message& message, std::string_view what) {
  if (find_invalid_utf8(message.data()) != std::string::npos) message.fail(what);
  return std::string(message.data());
}

// An id of the model's own; negative ones mean that there is none.
int32_t id_of(const Message& message) {
  const auto id = static_cast<int64_t>(message.number());
  if (id > static_cast<int64_t>(kMaxPieces)) message.fail("an id that no piece can have");
  return id < 0 ? -1 : static_cast<int32_t>(id);
}

void read_trainer(Message message, SentencePieceModel& model) {
  model.has_trainer = true;
  while (message.next()) {
    switch (message.field()) {
      case 3:
        if (message.number() < 1 || message.number() > 4) message.fail("an unknown model type");
        model.type = static_cast<SentencePieceModel::Type>(message.number());
        break;
      case 24:
        model.space_as_suffix = message.number() != 0;
        break;
      case 35:
        model.byte_fallback = message.number() != 0;
        break;
      case 40:
        model.unk_id = id_of(message);
        break;
      case 41:
        model.bos_id = id_of(message);
        break;
      case 42:
        model.eos_id = id_of(message);
        break;
      case 43:
        model.pad_id = id_of(message);
        break;
      case 44:
        model.unk_surface = text_of(message, "an unk_surface that is no UTF-8");
        break;
      case 45:
        model.unk_piece = text_of(message, "an unk_piece that is no UTF-8");
        break;
      case 46:
        model.bos_piece = text_of(message, "a bos_piece that is no UTF-8");
        break;
      case 47:
        model.eos_piece = text_of(message, "an eos_piece that is no UTF-8");
        break;
      case 48:
        model.pad_piece = text_of(message, "a pad_piece that is no UTF-8");
        break;
      default:
        break;
    }
  }
}

void read_normalizer(Message message, SentencePieceModel& model) {
  while (message.next()) {
    if (message.field() == 2) model.charsmap = message.data();
    if (message.field() == 3) model.add_dummy_prefix = message.number() != 0;
    if (message.field() == 4) model.remove_extra_spaces = message.number() != 0;
    if (message.field() == 5) model.escape_spaces = message.number() != 0;
  }
}

}  // namespace

SentencePieceModel parse_sentencepiece(std::string_view bytes, std::string_view origin) {
  SentencePieceModel model;
  Message message(bytes, 0, origin);
  while (message.next()) {
    if (message.field() == 1) {
      if (model.pieces.size() == kMaxPieces) message.fail("too many pieces");
      model.pieces.push_back(read_piece(message.message()));
    } else if (message.field() == 2) {
      read_trainer(message.message(), model);
    } else if (message.field() == 3) {
      read_normalizer(message.message(), model);
    }
  }
  if (model.pieces.empty()) message.fail("no pieces");
  return model;
}

SentencePieceModel read_sentencepiece(const std::filesystem::path& file) {
  return parse_sentencepiece(read_file(file, kMaxFileBytes), file.string());
}

}  // namespace tensormill
