#pragma once

#include <array>
#include <string>
#include <vector>

#include "tokenizer/models/merge_list.h"
#include "tokenizer/models/merge_table.h"
#include "tokenizer/models/model.h"
#include "tokenizer/models/vocabulary.h"

namespace tensormill {

struct BpeOptions {
  std::optional<std::string> unk_token;  // without one, unknown characters are left out
  std::string prefix, suffix;            // prefix: of a symbol inside a word; suffix: of its last
  bool fuse_unk = false, byte_fallback = false, ignore_merges = false;
};

// Byte pair encoding: a piece's characters, then the pair of lowest rank (leftmost first) becomes
// one token, again and again.
class Bpe : public TokenModel {
 public:
  using Merges = MergeList;
  // kArtifactInvalid with `origin` when a merge's parts or result are not in the vocabulary.
  Bpe(Vocabulary vocabulary, const Merges& merges, BpeOptions options, const std::string& origin);

  std::unique_ptr<ModelScratch> make_scratch() const override;
  void tokenize(std::string_view piece, bool byte_level, ModelScratch& scratch,
                std::vector<ModelToken>& out) const override;
  int32_t size() const override { return vocabulary_.size(); }
  int32_t id_bound() const override { return vocabulary_.id_bound(); }
  std::optional<int32_t> id_of(std::string_view token) const override {
    return vocabulary_.id_of(token);
  }
  std::string_view token(int32_t id) const override { return vocabulary_.token(id); }

 private:
  struct Scratch;
  void add_merges(const Merges& merges, const std::string& origin);
  void find_units();
  bool words_are_separate(const Merges& merges) const;
  void tokenize_cached(std::string_view word, bool byte_level, Scratch& scratch,
                       std::vector<ModelToken>& out) const;
  void tokenize_word(std::string_view word, bool byte_level, Scratch& scratch,
                     std::vector<ModelToken>& out) const;
  void add_symbols(std::string_view word, bool byte_level, std::vector<ModelToken>& symbols) const;
  void add_character_symbols(std::string_view word, bool byte_level,
                             std::vector<ModelToken>& symbols) const;
  bool add_fallback(std::string_view text, bool byte_level, std::vector<ModelToken>& symbols) const;
  void merge_short(std::vector<ModelToken>& symbols, Scratch& scratch) const;
  void merge_long(std::vector<ModelToken>& symbols, Scratch& scratch) const;

  Vocabulary vocabulary_;
  BpeOptions options_;
  MergeTable merges_;
  int32_t unk_id_ = -1;
  std::array<int32_t, 256> byte_ids_;      // tokens of the byte alphabet's characters, -1: none
  std::array<int32_t, 256> fallback_ids_;  // tokens "<0x00>" to "<0xFF>", -1: none
  bool plain_bytes_ = false;   // byte_ids_ is complete, and there is no prefix or suffix
  bool splits_words_ = false;  // no merge crosses the start of a word ("\u2581" after
                               // anything else), so that words can be done one by one
};

}  // namespace tensormill
