#include "tokenizer/slow/piece_model.h"

namespace tensormill {

PieceModelOptions pieces_with(RunSpace space) {
  PieceModelOptions options;
  options.runs.space = space;
  return options;
}

std::unique_ptr<SentencePiece> open_sentencepiece(const SlowFolder& folder, std::string_view name) {
  const auto file = folder.file(name);
  return std::make_unique<SentencePiece>(read_sentencepiece(file), file.string());
}

void PieceModel::add_steps(DecodeSteps& steps, const DecodeContext& context) const {
  steps.push_back(make_piece_runs(*model_, context, options_.runs));
  if (options_.cleans) steps.push_back(make_clean_up_step());
  if (options_.strips) steps.push_back(make_strip_text_step());
}

FairseqPieces::FairseqPieces(std::unique_ptr<SentencePiece> pieces,
                             const std::vector<std::string>& first, int32_t offset)
    : PieceModel(std::move(pieces), {}), offset_(offset), size_(model().size() + offset) {
  for (size_t id = 0; id < first.size(); ++id) set(first[id], static_cast<int32_t>(id));
}

std::optional<int32_t> FairseqPieces::find(std::string_view token) const {
  const auto known = ids_.find(std::string(token));
  if (known != ids_.end()) return known->second;
  const auto id = model().find(token);
  return id && *id != 0 ? std::optional(*id + offset_) : std::nullopt;
}

std::string FairseqPieces::token(int32_t id) const {
  const auto known = tokens_.find(id);
  return known != tokens_.end() ? known->second : PieceModel::token(id - offset_);
}

void FairseqPieces::add_steps(DecodeSteps& steps, const DecodeContext&) const {
  steps.push_back(make_replace_text_step("\u2581", " "));
  steps.push_back(make_strip_text_step());
}

}  // namespace tensormill
