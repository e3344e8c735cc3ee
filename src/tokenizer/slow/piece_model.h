#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/slow/piece_runs.h"
#include "tokenizer/slow/slow_models.h"
#include "tokenizer/slow/text_steps.h"

namespace tensormill {

struct PieceModelOptions {
  PieceRunOptions runs;
  bool strips = false, cleans = false;
};
PieceModelOptions pieces_with(RunSpace space);

std::unique_ptr<SentencePiece> open_sentencepiece(const SlowFolder& folder, std::string_view name);

// Pieces are tokens, and their ids are the model's.
class PieceModel : public SlowModel {
 public:
  PieceModel(std::unique_ptr<SentencePiece> model, PieceModelOptions options)
      : model_(std::move(model)), options_(std::move(options)) {}

  std::vector<std::string> tokenize(std::string_view text) const override {
    return model_->encode(text);
  }
  int32_t size() const override { return model_->size(); }
  std::optional<int32_t> find(std::string_view token) const override { return model_->find(token); }
  std::optional<int32_t> unknown_id() const override { return model_->id_of(""); }
  std::string token(int32_t id) const override {
    return id >= 0 && id < model_->size() ? model_->piece(id) : "";
  }
  void add_steps(DecodeSteps& steps, const DecodeContext& context) const override;

 protected:
  const SentencePiece& model() const { return *model_; }

 private:
  std::unique_ptr<SentencePiece> model_;
  PieceModelOptions options_;
};

// Ids as fairseq numbers them: its own tokens, the model's pieces from the third on, then more.
class FairseqPieces : public PieceModel {
 public:
  // offset: from a piece's id to the token's.
  FairseqPieces(std::unique_ptr<SentencePiece> pieces, const std::vector<std::string>& first,
                int32_t offset);

  int32_t size() const override { return size_; }
  std::optional<int32_t> find(std::string_view token) const override;
  std::optional<int32_t> unknown_id() const override { return 3; }
  std::string token(int32_t id) const override;
  void add_steps(DecodeSteps& steps, const DecodeContext&) const override;

 protected:
  void add(const std::string& token) { set(token, size_++); }

 private:
  void set(const std::string& token, int32_t id) {
    ids_[token] = id;
    tokens_[id] = token;
  }
  std::unordered_map<std::string, int32_t> ids_;
  std::unordered_map<int32_t, std::string> tokens_;
  int32_t offset_, size_;
};

}  // namespace tensormill
