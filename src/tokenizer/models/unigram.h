#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "tokenizer/models/double_array.h"
#include "tokenizer/models/text_model.h"
#include "tokenizer/models/vocabulary.h"

namespace tensormill {

// The way through a piece whose tokens' scores sum up highest. A character that is no token costs
// more than any token; neighbours of the kind become one unknown.
class Unigram : public TextModel {
 public:
  struct Piece {
    std::string text;
    double score;  // a log probability
  };
  // Ids are places in `pieces`; of equal texts the last one counts. byte_fallback: an unknown
  // becomes tokens "<0x00>" to "<0xFF>" where all of its bytes have one. kArtifactInvalid with
  // `origin` when unk_id is not a place in `pieces`.
  Unigram(const std::vector<Piece>& pieces, std::optional<int64_t> unk_id, bool byte_fallback,
          const std::string& origin);

  std::unique_ptr<ModelScratch> make_scratch() const override;
  int32_t size() const override { return static_cast<int32_t>(scores_.size()); }
  int32_t id_bound() const override { return size(); }
  std::optional<int32_t> id_of(std::string_view token) const override {
    return vocabulary_.id_of(token);
  }
  std::string_view token(int32_t id) const override { return vocabulary_.token(id); }
  int32_t verbatim_id() const override { return unk_id_; }

 protected:
  void tokenize_text(std::string_view text, Scratch& scratch,
                     std::vector<ModelToken>& out) const override;

 private:
  struct Node;
  struct Nodes;
  void find_best(std::string_view text, std::vector<Node>& best) const;
  void add_unknown(std::string_view text, std::vector<ModelToken>& out) const;

  Vocabulary vocabulary_;
  std::vector<double> scores_;  // by id
  DoubleArray trie_;
  int32_t unk_id_ = -1;
  double unk_score_ = 0;
  std::array<int32_t, 256> fallback_ids_;  // tokens "<0x00>" to "<0xFF>", -1: none
  bool byte_fallback_;
};

}  // namespace tensormill
