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
  bool byte_fallback = false;
  std::string unk_piece = "<unk>";
};

// kArtifactInvalid naming `origin` and the byte where the protobuf breaks its format.
SentencePieceModel parse_sentencepiece(std::string_view bytes, std::string_view origin);
SentencePieceModel read_sentencepiece(const std::filesystem::path& file);

}  // namespace tensormill
