#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <functional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "base/error.h"
#include "engine/fakes.h"
#include "engine/host_choice.h"

namespace tensormill {

// When a fake's queue of work runs: as soon as it can, or only when somebody waits for it.
enum class Pace { kEager, kLazy };

// The HashRunner as a device with a queue of work of its own, which chooses tokens. Tokens that
// nobody has chosen yet can't be used: a step that reads them throws.
class AsyncHashRunner : public Runner {
 public:
  struct Seen {  // outlives the runner, for tests
    std::atomic<int64_t> launched = 0, overlapped = 0, with_logits = 0, tokens_ahead = 0;
    std::atomic<int64_t> fail_launch = -1, fail_work = -1;  // which step, from 0
    std::atomic<int64_t> fail_from = -1;                    // this step and all later ones
  };

  AsyncHashRunner(Pace pace, Seen& seen, ModelInfo info = fake_info())
      : pace_(pace), seen_(seen), hash_(std::move(info)) {}

  const ModelInfo& info() const override { return hash_.info(); }
  void prepare(const StepLimits& limits, const EngineOptions& options) override {
    hash_.prepare(limits, options);
    limits_ = limits;
    history_.assign(static_cast<size_t>(limits.sequences * limits.max_keys), -1000);
    known_.assign(static_cast<size_t>(limits.sequences), -1);
  }
  CacheMemory memory() const override { return hash_.memory(); }
  void make_cache(int32_t blocks) override { hash_.make_cache(blocks); }
  bool chooses() const override { return true; }

  void put_history(int32_t row, std::span<const int32_t> tokens) override {
    check(row >= 0 && row < limits_.sequences, "a row of the history");
    check(static_cast<int32_t>(tokens.size()) < limits_.max_keys, "tokens beyond the history");
    enqueue([this, row, copy = std::vector<int32_t>(tokens.begin(), tokens.end())] {
      std::copy(copy.begin(), copy.end(), history_of(row));
      known_[static_cast<size_t>(row)] = static_cast<int32_t>(copy.size());
    });
  }
  // Shapes are wider than asked for, as where steps are recorded.
  StepDraft begin(const StepShape& asked) override {
    StepShape shape = asked;
    if (shape.decodes()) {
      shape.rows = std::min(shape.rows + 2, limits_.sequences);
      shape.sequences = shape.logit_rows = shape.rows;
      shape.blocks += 3;
    }
    Side& side = sides_[static_cast<size_t>(launched_ % 2)];
    check(!side.flies, "a third step under way");
    side.layout = StepLayout(shape);
    side.message.assign(side.layout.size(), -77);
    return {side.layout, side.message.data()};
  }
  void launch(std::span<const int32_t> logit_rows) override {
    const int64_t step = launched_;
    if (step == seen_.fail_launch) {
      seen_.fail_launch = -1;
      throw std::runtime_error("can't be launched");
    }
    Side& side = sides_[static_cast<size_t>(step % 2)];
    side.logit_rows.assign(logit_rows.begin(), logit_rows.end());
    side.flies = true;
    if (sides_[static_cast<size_t>((step + 1) % 2)].flies) ++seen_.overlapped;
    if (!logit_rows.empty()) ++seen_.with_logits;
    ++seen_.launched;
    ++launched_;
    enqueue([this, &side, step] { run(side, step); });
    enqueue({});  // the mark
  }
  StepResults collect() override {
    Side& side = sides_[static_cast<size_t>(collected_++ % 2)];
    check(side.flies, "collected before it was launched");
    while (!queue_.empty()) {
      const std::function<void()> work = std::move(queue_.front());
      queue_.pop_front();
      if (!work) break;
      work();
    }
    side.flies = false;
    if (!side.error.empty()) throw std::runtime_error(std::exchange(side.error, {}));
    return {side.chosen, side.logits.data()};
  }
  bool lost() override { return seen_.fail_from >= 0; }

 private:
  struct Side {
    StepLayout layout{StepShape{}};
    std::vector<int32_t> message, logit_rows;
    std::vector<SampleResult> chosen;
    std::vector<float> logits;
    std::string error;
    bool flies = false;
  };
  static void check(bool good, const char* what) {
    if (!good) throw std::runtime_error(std::string("broken use: ") + what);
  }
  void enqueue(std::function<void()> work) {
    if (pace_ == Pace::kEager && work) {
      work();
    } else {
      queue_.push_back(std::move(work));
    }
  }
  int32_t* history_of(int32_t row) {
    return history_.data() + static_cast<ptrdiff_t>(row) * limits_.max_keys;
  }
  void run(Side& side, int64_t step) {
    try {
      const int64_t from = seen_.fail_from;
      if (step == seen_.fail_work || (from >= 0 && step >= from)) {
        throw Error(ErrorKind::kInternal, "the device is gone");
      }
      compute(side);
    } catch (const std::exception& error) {
      side.error = error.what();
    }
  }
  void compute(Side& side) {
    const RaggedBatch batch = side.layout.batch(side.message.data());
    // The message as it would be if all tokens were known.
    for (int32_t row = 0; row < *batch.rows.count; ++row) {
      int32_t& token = side.message[static_cast<size_t>(batch.tokens - side.message.data() + row)];
      if (token >= 0) continue;
      ++seen_.tokens_ahead;
      const auto from = static_cast<size_t>(~token);
      check(batch.slots[row] < known_.at(from), "a token that nobody has chosen");
      token = history_of(~token)[batch.slots[row]];
    }
    const float* const logits = hash_.step(batch);
    const int32_t count = *batch.logit_rows.count;
    choose(side, logits, count);
    const auto vocabulary = static_cast<ptrdiff_t>(info().vocabulary);
    side.logits.clear();
    for (const int32_t row : side.logit_rows) {
      check(row < count, "logits that there are not");
      side.logits.insert(side.logits.end(), logits + row * vocabulary,
                         logits + (row + 1) * vocabulary);
    }
  }
  void choose(Side& side, const float* logits, int32_t count) {
    side.chosen.assign(static_cast<size_t>(side.layout.shape().logit_rows), {});
    SampleArgs args{};
    args.logits = logits;
    args.vocabulary = info().vocabulary;
    args.rows = side.layout.choices(side.message.data());
    args.history = history_.data();
    args.history_stride = limits_.max_keys;
    args.results = side.chosen.data();
    args.live = {&count, count};
    for (int32_t i = 0; i < count; ++i) {
      check(args.rows[i].length < limits_.max_keys, "a token beyond the history");
      int32_t& known = known_.at(static_cast<size_t>(args.rows[i].slot));
      known = known == args.rows[i].length ? known + 1 : -1;
    }
    choose_on_host(args, nullptr);
  }

  Pace pace_;
  Seen& seen_;
  HashRunner hash_;
  StepLimits limits_;
  std::vector<int32_t> history_, known_;  // known: tokens of a row that have been chosen
  std::array<Side, 2> sides_;
  std::deque<std::function<void()>> queue_;
  int64_t launched_ = 0, collected_ = 0;
};

}  // namespace tensormill
