#include "tokenizer/slow/slow_tokenizer.h"

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/clean_up.h"
#include "tokenizer/slow/python_text.h"

namespace tensormill {
namespace {

constexpr size_t kMaxTextBytes = size_t{1} << 28;
constexpr const char* kNames[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                  "pad_token", "cls_token", "mask_token"};

class CollectStep : public DecodeStep {
 public:
  void feed(std::string_view text) override { text_.append(text); }
  void end_token() override {}
  void finish() override {}
  std::string& text() { return text_; }

 private:
  std::string text_;
};

}  // namespace

SlowTokenizer::SlowTokenizer(std::unique_ptr<SlowModel> model, const SlowFolder& folder,
                             const Added& preset, const Surroundings& around)
    : model_(std::move(model)), once_(around.once), types_(around.types) {
  const TokenizerConfig& config = folder.config;
  splits_special_ = config.node().flag_or("split_special_tokens", false);
  clean_up_ = config.clean_up_spaces.value_or(false);
  bound_ = model_->id_bound();
  const auto put = [&](const auto& item) {
    added_[static_cast<int32_t>(item.first)] = item.second;
    bound_ = std::max(bound_, static_cast<int32_t>(item.first) + 1);
  };
  for (const auto& item : preset) put(item);
  for (const auto& item : config.added) put(item);
  for (const auto& [id, token] : added_) {
    if (ids_.emplace(token.content, id).second && !model_->find(token.content)) ++new_tokens_;
  }
  add_specials(config);
  for (const auto& [content, id] : ids_) trie_.add(content, id);
  for (const std::string& text : model_->cuts()) trie_.add(text, 0);
  kept_case_.assign(specials_.begin(), specials_.end());
  for (const auto& [id, token] : added_) {
    if (!token.special && token.normalized) kept_case_.push_back(token.content);
  }
  const auto surround = [&](const std::vector<std::string>& tokens, std::vector<int32_t>& ids) {
    for (const std::string& token : tokens) {
      const auto id = id_of(token);
      if (!id) {
        throw_error(ErrorKind::kArtifactInvalid,
                    "{}: the special token \"{}\" that the tokenizer's class puts around texts is "
                    "not in the vocabulary",
                    config.file, token);
      }
      ids.push_back(*id);
    }
  };
  surround(around.before, before_);
  surround(around.after, after_);
  surround(around.between, between_);
  surround(around.after_pair.value_or(around.after), after_pair_);
}

void SlowTokenizer::add_specials(const TokenizerConfig& config) {
  std::vector<TokenizerConfig::Special> all;
  for (const char* name : kNames) {
    const auto found = config.specials.find(name);
    if (found == config.specials.end() || !found->second) continue;
    all.push_back(*found->second);
    names_[name] = all.back().token.content;
  }
  all.insert(all.end(), config.additional.begin(), config.additional.end());
  for (const auto& special : all) specials_.insert(special.token.content);
  for (const auto& special : all) {
    if (special.as_text && ids_.contains(special.token.content)) continue;
    AddedToken token = special.token;
    token.special = true;
    add(token);
  }
  for (const std::string& content : specials_) {
    if (const auto id = id_of(content)) special_ids_.insert(*id);
  }
  for (const auto& [content, id] : ids_) {
    if (!specials_.contains(content)) apart_.insert(content);
  }
  // A special token outside the vocabulary that the list of additional ones names, or that no
  // special name refers to.
  const auto named = [&](const std::string& content) {
    return std::any_of(names_.begin(), names_.end(),
                       [&](const auto& item) { return item.second == content; });
  };
  for (const auto& special : config.additional) {
    const auto id = id_of(special.token.content);
    if (id && *id >= model_->size()) apart_.insert(special.token.content);
  }
  for (const auto& [id, token] : added_) {
    if (token.special && id >= model_->size() && !named(token.content) &&
        !specials_.contains(token.content)) {
      apart_.insert(token.content);
    }
  }
}

void SlowTokenizer::add(const AddedToken& token) {
  if (token.content.empty()) return;
  int32_t id;
  if (const auto known = ids_.find(token.content); known != ids_.end()) {
    id = known->second;
  } else if (const auto in_model = model_->find(token.content)) {
    id = *in_model;
  } else {
    id = model_->token_count() + new_tokens_++;
  }
  added_[id] = token;
  ids_[token.content] = id;
  bound_ = std::max(bound_, id + 1);
}

// One code point after the other, as the reference does it: a sigma at the end of a word is none.
std::string SlowTokenizer::lowered(std::string_view text) const {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    const std::string_view rest = text.substr(at);
    const auto kept = std::find_if(kept_case_.begin(), kept_case_.end(),
                                   [&](const auto& token) { return rest.starts_with(token); });
    const std::string_view part =
        rest.substr(0, kept == kept_case_.end() ? utf8_length(rest[0]) : kept->size());
    result.append(kept == kept_case_.end() ? python_lower(part) : std::string(part));
    at += part.size();
  }
  return result;
}

std::vector<std::string_view> SlowTokenizer::split(std::string_view text) const {
  if (splits_special_) return {text};
  std::vector<std::string_view> parts;
  size_t done = 0;
  for (auto found = trie_.find(text, 0); found.id >= 0; found = trie_.find(text, found.end)) {
    if (done < found.begin) parts.push_back(text.substr(done, found.begin - done));
    parts.push_back(text.substr(found.begin, found.end - found.begin));
    done = found.end;
  }
  if (done < text.size()) parts.push_back(text.substr(done));
  return parts;
}

// Takes the white space that added tokens take with them off their neighbours, and gives back those
// that stand in words although they must not.
void SlowTokenizer::strip_beside_tokens(std::vector<std::string>& parts) const {
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto known = ids_.find(parts[i]);
    if (known == ids_.end()) continue;
    const AddedToken& token = added_.at(known->second);
    std::string* left = i > 0 ? &parts[i - 1] : nullptr;
    std::string* right = i + 1 < parts.size() ? &parts[i + 1] : nullptr;
    const std::string left_text = left == nullptr ? "" : *left;
    const std::string right_text = right == nullptr ? "" : *right;
    if (token.rstrip && right != nullptr) right->erase(0, python_strip_left(*right));
    if (token.lstrip && left != nullptr) left->resize(python_strip_right(*left));
    if (!token.single_word) continue;
    if (!left_text.empty() && left_text.back() != ' ') {
      left->append(parts[i]);
      parts[i].clear();
    } else if (!right_text.empty() && right_text.front() != ' ') {
      right->insert(0, parts[i]);
      parts[i].clear();
    }
  }
}

int32_t SlowTokenizer::id_of_token(const std::string& token) const {
  if (const auto id = id_of(token)) return *id;
  if (const auto id = model_->unknown_id()) return *id;
  throw_error(ErrorKind::kBadRequest, "\"{}\" is not in the vocabulary, which has no unknown token",
              token);
}

Encoding SlowTokenizer::encode(const EncodeRequest& request) const {
  std::vector<Encoding> texts = {encode_plain(request.text)};
  if (request.pair) texts.push_back(encode_plain(*request.pair));
  if (request.truncation) {
    Truncation truncation = *request.truncation;
    int64_t around = 0;
    if (request.add_special) {
      around = static_cast<int64_t>(
          before_.size() + (request.pair ? between_.size() + after_pair_.size() : after_.size()));
    }
    if (truncation.max_length < around || truncation.stride < 0) {
      throw_error(ErrorKind::kBadRequest,
                  "truncation: max_length {} and stride {}; there are {} special tokens",
                  truncation.max_length, truncation.stride, around);
    }
    truncation.max_length -= around;
    truncate_encodings(texts, truncation);
  }
  const Encoding* pair = request.pair ? &texts[1] : nullptr;
  Encoding encoding = join(texts[0], pair, request);
  for (const Encoding& piece : texts[0].overflowing) {
    if (pair != nullptr && !pair->overflowing.empty()) break;  // as the reference: none then
    encoding.overflowing.push_back(join(piece, pair, request));
  }
  if (pair == nullptr || !texts[0].overflowing.empty()) return encoding;
  for (const Encoding& piece : pair->overflowing) {
    encoding.overflowing.push_back(join(texts[0], &piece, request));
  }
  return encoding;
}

Encoding SlowTokenizer::encode_plain(std::string_view text) const {
  if (text.size() > kMaxTextBytes) {
    throw_error(ErrorKind::kBadRequest, "the text has {} bytes, at most {} can be tokenized",
                text.size(), kMaxTextBytes);
  }
  if (const size_t at = find_invalid_utf8(text); at != std::string_view::npos) {
    throw_error(ErrorKind::kBadRequest, "the text is not valid UTF-8 at byte {}", at);
  }
  const std::string lower = model_->lowers_text() ? lowered(text) : "";
  if (model_->lowers_text()) text = lower;
  std::vector<std::string> parts;
  for (const std::string_view part : split(text)) parts.emplace_back(part);
  strip_beside_tokens(parts);
  Encoding encoding;
  for (const std::string& part : parts) {
    if (part.empty()) continue;
    if (const auto known = ids_.find(part); known != ids_.end()) {
      encoding.ids.push_back(known->second);
      continue;
    }
    for (const std::string& token : model_->tokenize(part)) {
      encoding.ids.push_back(id_of_token(token));
    }
  }
  encoding.type_ids.assign(encoding.ids.size(), 0);
  return encoding;
}

void SlowTokenizer::add_around(const std::vector<int32_t>& tokens, int32_t type,
                               Encoding& encoding) const {
  encoding.ids.insert(encoding.ids.end(), tokens.begin(), tokens.end());
  encoding.type_ids.resize(encoding.ids.size(), type);
  encoding.sequences.resize(encoding.ids.size(), -1);
  encoding.special.resize(encoding.ids.size(), 1);
}

void SlowTokenizer::add_text(const Encoding& text, int32_t number, Encoding& encoding) const {
  encoding.ids.insert(encoding.ids.end(), text.ids.begin(), text.ids.end());
  encoding.type_ids.resize(encoding.ids.size(), types_ ? number : 0);
  encoding.sequences.resize(encoding.ids.size(), number);
  encoding.special.resize(encoding.ids.size(), 0);
}

Encoding SlowTokenizer::join(const Encoding& text, const Encoding* pair,
                             const EncodeRequest& request) const {
  Encoding result;
  const bool adds = request.add_special;
  const auto ends = [&](const std::vector<int32_t>& tokens) {
    return once_ && !tokens.empty() && !result.ids.empty() && result.ids.back() == tokens.back();
  };
  if (adds) add_around(before_, 0, result);
  add_text(text, 0, result);
  if (pair == nullptr) {
    if (adds && !ends(after_)) add_around(after_, 0, result);
  } else {
    if (adds && !ends(between_)) add_around(between_, 0, result);
    add_text(*pair, 1, result);
    const bool there = pair->ids.empty() ? false : ends(after_pair_);
    if (adds && !there) add_around(after_pair_, types_ ? 1 : 0, result);
  }
  if (!adds) std::fill(result.type_ids.begin(), result.type_ids.end(), 0);
  if (!request.details) {
    result.sequences.clear();
    result.special.clear();
    return result;
  }
  for (const int32_t id : result.ids) result.tokens.push_back(token(id));
  result.offsets.assign(result.ids.size(), {0, 0});
  result.words.assign(result.ids.size(), -1);
  return result;
}

// Runs of tokens between added ones become texts, joined by spaces.
class SlowTokenizer::Stream : public IncrementalDecoder {
 public:
  Stream(const SlowTokenizer& tokenizer, bool skip_special)
      : tokenizer_(tokenizer), skip_special_(skip_special) {}

  void push(int32_t id, std::string& out) override {
    if (id < 0 || id >= tokenizer_.vocabulary_size()) return;
    if (skip_special_ && tokenizer_.special_ids_.contains(id)) return;
    const std::string token = tokenizer_.token(id);
    if (skip_special_ && tokenizer_.specials_.contains(token)) return;
    if (tokenizer_.apart_.contains(token)) {
      end_run(false);
      begin_text();
      text_.append(token);
      any_ = true;
    } else {
      begin_run();
      steps_.front()->feed(token);
      steps_.front()->end_token();
      take();
    }
    drain(out, false);
  }

  void finish(std::string& out) override {
    end_run(true);
    drain(out, true);
  }

 private:
  void begin_run() {
    if (!steps_.empty()) return;
    tokenizer_.model_->add_steps(steps_, {tokenizer_.specials_, tokenizer_.ids_, skip_special_});
    steps_.push_back(std::make_unique<CollectStep>());
    sink_ = static_cast<CollectStep*>(steps_.back().get());
    for (size_t i = 0; i + 1 < steps_.size(); ++i) steps_[i]->set_next(steps_[i + 1].get());
    written_ = false;
  }

  void begin_text() {
    if (any_) text_.push_back(' ');
  }

  // Only the last run counts when it is empty.
  void end_run(bool last) {
    if (steps_.empty()) return;
    steps_.front()->finish();
    take();
    if (last && !written_) begin_text();
    any_ = any_ || written_ || last;
    steps_.clear();
  }

  void take() {
    if (sink_->text().empty()) return;
    if (!written_) begin_text();
    written_ = true;
    text_.append(sink_->text());
    sink_->text().clear();
  }

  void drain(std::string& out, bool last) {
    const size_t certain = last || !tokenizer_.clean_up_ ? text_.size() : clean_up_border(text_);
    const std::string_view part = std::string_view(text_).substr(0, certain);
    out.append(tokenizer_.clean_up_ ? clean_up_spaces(part) : std::string(part));
    text_.erase(0, certain);
  }

  const SlowTokenizer& tokenizer_;
  bool skip_special_, written_ = false, any_ = false;
  DecodeSteps steps_;
  CollectStep* sink_ = nullptr;
  std::string text_;
};

std::string SlowTokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  return decode_as_stream(ids, skip_special);
}

std::unique_ptr<IncrementalDecoder> SlowTokenizer::start_decoding(bool skip_special) const {
  return std::make_unique<Stream>(*this, skip_special);
}

int32_t SlowTokenizer::vocabulary_size() const {
  return bound_;
}

std::optional<int32_t> SlowTokenizer::id_of(std::string_view token) const {
  const auto known = ids_.find(std::string(token));
  return known != ids_.end() ? std::optional(known->second) : model_->find(token);
}

std::string SlowTokenizer::token(int32_t id) const {
  const auto known = added_.find(id);
  if (known != added_.end()) return known->second.content;
  return id >= 0 && id < bound_ ? model_->token(id) : "";
}

bool SlowTokenizer::is_special(int32_t id) const {
  return special_ids_.contains(id);
}

std::string SlowTokenizer::special(std::string_view name) const {
  const auto found = names_.find(name);
  return found == names_.end() ? "" : found->second;
}

}  // namespace tensormill
