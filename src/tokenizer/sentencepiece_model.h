#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace tensormill {

// What a SentencePiece .model file (a protobuf ModelProto) holds, as far as it is used.
struct SentencePieceModel {
  enum class PieceType { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };
  enum class Type { kUnigram = 1, kBpe, kWord, kChar };
  struct Piece {
    std::string text;
    float score = 0;
    PieceType type = PieceType::kNormal;
  };
  std::vector<Piece> pieces;
  Type type = Type::kUnigram;
  bool byte_fallback = false, space_as_suffix = false;
  int32_t unk_id = 0, bos_id = 1, eos_id = 2, pad_id = -1;  // -1: has none
  std::string unk_piece = "<unk>", bos_piece = "<s>", eos_piece = "</s>", pad_piece = "<pad>";
  std::string unk_surface = " \u2047 ";  // the text of unknown pieces
  std::string charsmap;                  // precompiled rules of replacement; empty: none
  bool add_dummy_prefix = true, remove_extra_spaces = true, escape_spaces = true;
  bool has_trainer = false;  // the file says what kind of model it is
};

// kArtifactInvalid naming `origin` and the byte where the protobuf breaks its format.
SentencePieceModel parse_sentencepiece(std::string_view bytes, std::string_view origin);
SentencePieceModel read_sentencepiece(const std::filesystem::path& file);

}  // namespace tensormill
