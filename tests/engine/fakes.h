#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "engine/runner.h"

namespace tensormill {

// 60 letters and digits, two words, a three-byte sign in two tokens, BOS and EOS (special).
class FakeTokenizer : public Tokenizer {
 public:
  static constexpr int32_t kSignHead = 60, kSignTail = 61, kBos = 62, kEos = 63, kSize = 64;

  using Tokenizer::encode;
  Encoding encode(const EncodeRequest& request) const override {
    Encoding encoding;
    if (request.add_special) encoding.ids.push_back(kBos);
    for (const char c : request.text)
      encoding.ids.push_back(id_of(std::string_view(&c, 1)).value_or(0));
    return encoding;
  }
  std::string decode(std::span<const int32_t> ids, bool skip_special) const override {
    std::string bytes;
    for (const int32_t id : ids) {
      if (id < 0 || id >= kSize) throw std::out_of_range("id");
      if (skip_special && is_special(id)) continue;
      bytes += id == kSignHead ? "\xE2\x82" : id == kSignTail ? "\xAC" : token(id);
    }
    // An euro sign that isn't whole becomes U+FFFD.
    std::string text;
    for (size_t i = 0; i < bytes.size();) {
      if (bytes.compare(i, 3, "\xE2\x82\xAC") == 0) {
        text += "\xE2\x82\xAC";
        i += 3;
      } else if (static_cast<unsigned char>(bytes[i]) < 0x80) {
        text += bytes[i++];
      } else {
        text += "\xEF\xBF\xBD";
        i += bytes.compare(i, 2, "\xE2\x82") == 0 ? 2 : 1;
      }
    }
    return text;
  }
  std::unique_ptr<IncrementalDecoder> start_decoding(bool skip_special) const override {
    return std::make_unique<Stream>(*this, skip_special);
  }
  int32_t vocabulary_size() const override { return kSize; }
  std::optional<int32_t> id_of(std::string_view text) const override {
    for (int32_t id = 0; id < kSize; ++id) {
      if (token(id) == text) return id;
    }
    return std::nullopt;
  }
  std::string token(int32_t id) const override {
    static const std::string kLetters =
        "abcdefghijklmnopqrstuvwxyz .,!\nABCDEFGHIJKLMNOPQRSTUVW01234";
    if (id == 58) return "stop";
    if (id == 59) return " end.";
    if (id == kBos) return "<s>";
    if (id == kEos) return "</s>";
    return id < 58 ? kLetters.substr(static_cast<size_t>(id), 1) : "";
  }
  bool is_special(int32_t id) const override { return id == kBos || id == kEos; }
  std::string special(std::string_view name) const override {
    return name == "eos_token" ? "</s>" : name == "bos_token" ? "<s>" : "";
  }

 private:
  // Holds the sign's first half back until the next token tells.
  class Stream : public IncrementalDecoder {
   public:
    Stream(const FakeTokenizer& tokenizer, bool skip_special)
        : tokenizer_(tokenizer), skip_special_(skip_special) {}
    void push(int32_t id, std::string& out) override {
      held_.push_back(id);
      if (id != kSignHead) finish(out);
    }
    void finish(std::string& out) override {
      out += tokenizer_.decode(held_, skip_special_);
      held_.clear();
    }

   private:
    const FakeTokenizer& tokenizer_;
    bool skip_special_;
    std::vector<int32_t> held_;
  };
};

inline ModelInfo fake_info() {
  ModelInfo info;
  info.model_type = "fake";
  info.vocabulary = FakeTokenizer::kSize;
  info.max_positions = 4096;
  info.eos_ids.push_back(FakeTokenizer::kEos);
  info.cache_bytes_per_token = 16;
  info.rules = {true, true, true};
  return info;
}

// A model without arithmetic: every token's "key" is a hash of the key before it, the token, its
// position and rope length, kept in blocks as a real cache would; a row's logits are a hash of all
// keys that it sees. So whatever goes wrong with blocks, tables or recomputation shows in the
// logits. Broken batches throw.
class HashRunner : public HostRunner {
 public:
  explicit HashRunner(ModelInfo info = fake_info()) : info_(std::move(info)) {}

  const ModelInfo& info() const override { return info_; }
  void make_cache(int32_t blocks) override {
    keys_.assign(static_cast<size_t>(blocks) * kBlockTokens, 0xDEAD);
  }
  void prepare(const StepLimits& limits, const EngineOptions& /*options*/) override {
    limits_ = limits;
    logits_.resize(static_cast<size_t>(limits.logit_rows * info_.vocabulary));
  }
  const float* step(const RaggedBatch& batch) override {
    if (before_step) before_step();
    check(*batch.rows.count <= limits_.rows && *batch.sequences.count <= limits_.sequences, "size");
    rows_seen += *batch.rows.count;
    const int32_t from = info_.dynamic_rope_from;
    std::set<int32_t> written;
    int32_t logit_row = 0;
    for (int32_t s = 0; s < *batch.sequences.count; ++s) {
      for (int32_t row = batch.row_begin[s]; row < batch.row_begin[s + 1]; ++row) {
        check(batch.row_sequence[row] == s, "row_sequence");
        const int32_t position = batch.slots[row];
        check(position == batch.keys[s] - (batch.row_begin[s + 1] - row), "position");
        check(written.insert(slot(batch, s, position)).second, "two rows write one slot");
        const uint64_t before = position ? at(slot(batch, s, position - 1)) : 1;
        const int32_t length = from > 0 ? std::max({batch.prompts[row], position + 1, from}) : 0;
        at(slot(batch, s, position)) =
            mix(before, batch.tokens[row], position * 7919 + length * 104729);
        if (logit_row < *batch.logit_rows.count && batch.logit_row[logit_row] == row) {
          put_logits(batch, s, position, logit_row++);
        }
      }
    }
    check(logit_row == *batch.logit_rows.count, "logit rows");
    return logits_.data();
  }

  std::function<void()> before_step;
  int64_t rows_seen = 0;
  float eos_bias = 0;  // added to the logit of EOS

 private:
  static void check(bool good, const char* what) {
    if (!good) throw std::runtime_error(std::string("broken batch: ") + what);
  }
  static uint64_t mix(uint64_t h, int32_t a, int32_t b) {
    h = (h ^ static_cast<uint32_t>(a)) * 0xFF51AFD7ED558CCD;
    h = (h ^ (h >> 33) ^ static_cast<uint32_t>(b)) * 0xC4CEB9FE1A85EC53;
    return h ^ (h >> 29);
  }
  int32_t slot(const RaggedBatch& batch, int32_t s, int32_t position) const {
    const int32_t block = batch.tables[s * batch.table_stride + position / kBlockTokens];
    const int32_t found = block * kBlockTokens + position % kBlockTokens;
    check(found >= 0 && static_cast<size_t>(found) < keys_.size(), "block id");
    return found;
  }
  uint64_t& at(int32_t slot) { return keys_[static_cast<size_t>(slot)]; }
  void put_logits(const RaggedBatch& batch, int32_t s, int32_t position, int32_t logit_row) {
    uint64_t all = 7;
    for (int32_t p = 0; p <= position; ++p) {
      all = mix(all, static_cast<int32_t>(at(slot(batch, s, p))), p);
    }
    float* out = logits_.data() + logit_row * info_.vocabulary;
    for (int32_t v = 0; v < info_.vocabulary; ++v) {
      out[v] = static_cast<float>(mix(all, v, 0) % 10000) * 1e-3f;
    }
    out[FakeTokenizer::kEos] += eos_bias;
  }

  ModelInfo info_;
  StepLimits limits_;
  std::vector<uint64_t> keys_;
  std::vector<float> logits_;
};

// Says what it is told to: the token after a prompt of one token is script[0], and so on.
class ScriptRunner : public HostRunner {
 public:
  explicit ScriptRunner(std::vector<int32_t> script)
      : info_(fake_info()), script_(std::move(script)) {}
  const ModelInfo& info() const override { return info_; }
  void make_cache(int32_t /*blocks*/) override {}
  void prepare(const StepLimits& limits, const EngineOptions& /*options*/) override {
    logits_.resize(static_cast<size_t>(limits.logit_rows * info_.vocabulary));
  }
  const float* step(const RaggedBatch& batch) override {
    std::fill(logits_.begin(), logits_.end(), 0.0f);
    for (int32_t i = 0; i < *batch.logit_rows.count; ++i) {
      const auto position = static_cast<size_t>(batch.slots[batch.logit_row[i]]);
      const int32_t token = script_.at(position % script_.size());
      float* row = logits_.data() + i * info_.vocabulary;
      row[token < 0 ? 0 : token] = token < 0 ? NAN : 9.0f;
    }
    return logits_.data();
  }

 private:
  ModelInfo info_;
  std::vector<int32_t> script_;  // -1: a NaN
  std::vector<float> logits_;
};

// All that came for one request.
struct Answer {
  std::vector<int32_t> tokens;
  std::vector<float> log_probs;
  std::vector<std::string> pieces, token_texts;
  std::string text, error;
  FinishReason finish = FinishReason::kNone;
  int ends = 0, admissions = 0;
  bool admitted_first = false;  // before any event
};

class CollectingSink : public EventSink {
 public:
  void admitted(uint64_t request) override {
    const std::lock_guard lock(mutex_);
    Answer& answer = answers_[request];
    ++answer.admissions;
    answer.admitted_first = answer.pieces.empty();
  }
  void deliver(std::span<TokenEvent> events) override {
    const std::lock_guard lock(mutex_);
    ++deliveries;
    for (TokenEvent& event : events) {
      Answer& answer = answers_[event.request];
      if (event.token >= 0) {
        answer.tokens.push_back(event.token);
        answer.log_probs.push_back(event.log_prob);
        answer.token_texts.push_back(event.token_text);
      }
      answer.pieces.push_back(event.text);
      answer.text += event.text;
      if (event.finish == FinishReason::kNone) continue;
      answer.finish = event.finish;
      answer.error = event.error;
      ++answer.ends;
      ++ended_;
    }
    changed_.notify_all();
  }
  void wait_ended(size_t count) {
    std::unique_lock lock(mutex_);
    const bool good =
        changed_.wait_for(lock, std::chrono::seconds(60), [&] { return ended_ >= count; });
    if (!good) throw std::runtime_error("the requests don't end");
  }
  void wait_tokens(uint64_t request, size_t count) {
    std::unique_lock lock(mutex_);
    const bool good = changed_.wait_for(lock, std::chrono::seconds(60),
                                        [&] { return answers_[request].tokens.size() >= count; });
    if (!good) throw std::runtime_error("no tokens come");
  }
  Answer answer(uint64_t request) {
    const std::lock_guard lock(mutex_);
    return answers_[request];
  }

  int64_t deliveries = 0;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<uint64_t, Answer> answers_;
  size_t ended_ = 0;
};

}  // namespace tensormill
