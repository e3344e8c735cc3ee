#include "tokenizer/whisper_text.h"

#include <algorithm>

#include "base/utf8.h"
#include "tokenizer/slow/python_text.h"

namespace tensormill {
namespace {

enum class TimeMatch { kNo, kWhole, kMayGrow };

// Is what `text` begins with a time, "<|12.34|>"? bytes: its size.
TimeMatch match_time(std::string_view text, size_t& bytes) {
  size_t at = 0;
  const auto take = [&](std::string_view expected) {
    const std::string_view there = text.substr(at, expected.size());
    if (there == expected) {
      at += expected.size();
      return TimeMatch::kWhole;
    }
    return expected.starts_with(there) ? TimeMatch::kMayGrow : TimeMatch::kNo;
  };
  const auto take_digits = [&] {
    const size_t begin = at;
    while (at < text.size()) {
      size_t end = at;
      if (!is_python_digit(next_code_point(text, end))) break;
      at = end;
    }
    if (at == text.size()) return TimeMatch::kMayGrow;
    return at > begin ? TimeMatch::kWhole : TimeMatch::kNo;
  };
  TimeMatch match = take("<|");
  if (match == TimeMatch::kWhole) match = take_digits();
  if (match == TimeMatch::kWhole) match = take(".");
  if (match == TimeMatch::kWhole) match = take_digits();
  if (match == TimeMatch::kWhole) match = take("|>");
  bytes = at;
  return match;
}

class WhisperText : public Tokenizer {
 public:
  explicit WhisperText(std::unique_ptr<Tokenizer> tokenizer) : tokenizer_(std::move(tokenizer)) {
    const auto id_of = [&](std::string_view token) {  // the unknown token stands for missing ones
      auto id = tokenizer_->id_of(token);
      if (!id) id = tokenizer_->id_of(tokenizer_->special("unk_token"));
      return id.value_or(-1);
    };
    prompt_ = id_of("<|startofprev|>");
    start_ = id_of("<|startoftranscript|>");
  }

  using Tokenizer::encode;
  Encoding encode(const EncodeRequest& request) const override {
    return tokenizer_->encode(request);
  }
  std::optional<Truncation> truncation() const override { return tokenizer_->truncation(); }
  std::string decode(std::span<const int32_t> ids, bool skip_special) const override {
    std::span<const int32_t> kept = ids;
    if (skip_special && !ids.empty() && ids[0] == prompt_) {
      const auto start = std::find(ids.begin(), ids.end(), start_);
      kept = ids.subspan(static_cast<size_t>(start - ids.begin()));
    }
    std::string out, held = tokenizer_->decode(kept, skip_special);
    drain(held, true, out);
    return out;
  }
  std::unique_ptr<IncrementalDecoder> start_decoding(bool skip_special) const override {
    return std::make_unique<Stream>(*this, skip_special);
  }
  int32_t vocabulary_size() const override { return tokenizer_->vocabulary_size(); }
  std::optional<int32_t> id_of(std::string_view token) const override {
    return tokenizer_->id_of(token);
  }
  std::string token(int32_t id) const override { return tokenizer_->token(id); }
  bool is_special(int32_t id) const override { return tokenizer_->is_special(id); }
  std::string special(std::string_view name) const override { return tokenizer_->special(name); }

 private:
  // Moves what is certain of `held` to `out`, without times.
  static void drain(std::string& held, bool last, std::string& out) {
    size_t at = 0;
    while (at < held.size()) {
      const size_t open = std::min(held.find('<', at), held.size());
      out.append(held, at, open - at);
      at = open;
      if (at == held.size()) break;
      size_t bytes = 0;
      const TimeMatch match = match_time(std::string_view(held).substr(at), bytes);
      if (match == TimeMatch::kMayGrow && !last) break;
      if (match != TimeMatch::kWhole) out.push_back(held[at]);
      at += match == TimeMatch::kWhole ? bytes : 1;
    }
    held.erase(0, at);
  }

  class Stream : public IncrementalDecoder {
   public:
    Stream(const WhisperText& tokenizer, bool skip_special)
        : inner_(tokenizer.tokenizer_->start_decoding(skip_special)),
          start_(tokenizer.start_),
          prompt_(skip_special ? tokenizer.prompt_ : -1) {}
    void push(int32_t id, std::string& out) override {
      in_prompt_ = (in_prompt_ && id != start_) || (first_ && id == prompt_ && id != start_);
      first_ = false;
      if (in_prompt_) return;
      inner_->push(id, held_);
      drain(held_, false, out);
    }
    void finish(std::string& out) override {
      inner_->finish(held_);
      drain(held_, true, out);
    }

   private:
    std::unique_ptr<IncrementalDecoder> inner_;
    int32_t start_, prompt_;
    bool first_ = true, in_prompt_ = false;
    std::string held_;
  };

  std::unique_ptr<Tokenizer> tokenizer_;
  int32_t prompt_ = -1, start_ = -1;
};

}  // namespace

std::unique_ptr<Tokenizer> with_whisper_text(std::unique_ptr<Tokenizer> tokenizer) {
  return std::make_unique<WhisperText>(std::move(tokenizer));
}

}  // namespace tensormill
