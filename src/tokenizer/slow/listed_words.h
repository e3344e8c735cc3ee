#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "tokenizer/slow/slow_models.h"

namespace tensormill {

// Tokens by a list, joined by spaces.
class ListedWords : public SlowModel {
 public:
  ListedWords(const SlowFolder& folder, const std::vector<std::string>& tokens) {
    for (const std::string& token : tokens) set(token, static_cast<int32_t>(tokens_.size()));
    set_unknown(folder);
  }
  ListedWords(const SlowFolder& folder, const Json& vocabulary) {
    for (const auto& [token, id] : vocabulary.items()) set(token, id.get<int32_t>());
    set_unknown(folder);
  }

  int32_t size() const override { return static_cast<int32_t>(tokens_.size()); }
  int32_t id_bound() const override { return bound_; }
  int32_t token_count() const override { return static_cast<int32_t>(ids_.size()); }
  std::optional<int32_t> find(std::string_view token) const override {
    const auto known = ids_.find(std::string(token));
    return known == ids_.end() ? std::nullopt : std::optional(known->second);
  }
  std::optional<int32_t> unknown_id() const override { return find(unknown_); }
  std::string token(int32_t id) const override {
    const auto known = tokens_.find(id);
    return known == tokens_.end() ? unknown_ : known->second;
  }
  void add_steps(DecodeSteps& steps, const DecodeContext&) const override {
    make_space_joiner()->add_steps(steps);
  }

 private:
  void set(const std::string& token, int32_t id) {
    ids_[token] = id;
    tokens_[id] = token;
    bound_ = std::max(bound_, id + 1);
  }
  void set_unknown(const SlowFolder& folder) { unknown_ = folder.special("unk_token"); }

  std::unordered_map<std::string, int32_t> ids_;
  std::unordered_map<int32_t, std::string> tokens_;
  std::string unknown_;
  int32_t bound_ = 0;
};

}  // namespace tensormill
