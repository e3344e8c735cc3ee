#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "server/backend.h"
#include "tokenizer/tokenizer.h"

namespace tensormill::testing {

// A backend of scripted tokens " w0", " w1", ..., one a step for each of `slots` requests.
class FakeBackend : public InferenceBackend {
 public:
  struct Script {
    size_t slots = 4, queue = 4;
    std::chrono::milliseconds step{1};
    int fail_at = -1;  // this token is an error
    int prefill = 0;   // steps from admission to the first token
  };
  struct Counts {
    std::atomic<int> submitted{0}, cancelled{0}, finished{0};
    std::atomic<int> failed_steps{0};  // what stats() say
    std::atomic<bool> lost{false};
  };

  FakeBackend(Script script, std::shared_ptr<Counts> counts)
      : script_(script), counts_(std::move(counts)), tokenizer_(byte_tokenizer(256)) {
    info_.model_type = "fake";
    info_.vocabulary = 256;
    thread_ = std::thread([this] { run(); });
  }
  ~FakeBackend() override {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    thread_.join();
  }

  DialectContext context(std::string_view name, const Settings& settings) const override {
    return {name, &settings, tokenizer_.get(), nullptr, &info_, 1024};
  }

  SubmittedText submit(TextRequest request) override {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() >= script_.queue || draining_) {
      throw Error(ErrorKind::kOverloaded, "queue full");
    }
    const int32_t tokens = request.max_new_tokens.value_or(30);
    waiting_.push_back({++last_id_, request.generation.sink, tokens, 0, script_.prefill});
    ++counts_->submitted;
    return {last_id_, static_cast<int32_t>(request.prompt.size()), tokens};
  }

  void cancel(uint64_t id) override {
    const std::lock_guard lock(mutex_);
    for (auto* list : {&waiting_, &running_}) {
      for (Item& item : *list) {
        if (item.id == id && !item.cancelled) {
          item.cancelled = true;
          ++counts_->cancelled;
        }
      }
    }
  }

  void drain(std::chrono::steady_clock::time_point deadline) override {
    std::unique_lock lock(mutex_);
    draining_ = true;
    for (Item& item : waiting_) item.shut_down = true;
    const auto empty = [this] { return waiting_.empty() && running_.empty(); };
    if (idle_.wait_until(lock, deadline, empty)) return;
    for (Item& item : running_) item.cancelled = true;
    idle_.wait(lock, empty);
  }

  EngineStats stats() const override {
    const std::lock_guard lock(mutex_);
    EngineStats stats;
    stats.running = static_cast<int32_t>(running_.size());
    stats.waiting = static_cast<int32_t>(waiting_.size());
    stats.failed_steps = counts_->failed_steps;
    stats.lost = counts_->lost;
    return stats;
  }

 private:
  struct Item {
    uint64_t id;
    EventSink* sink;
    int32_t left, done;
    int prefill;
    bool cancelled = false, shut_down = false;
  };

  void run() {
    std::unique_lock lock(mutex_);
    while (!stop_) {
      while (!waiting_.empty() && running_.size() < script_.slots) {
        running_.push_back(waiting_.front());
        running_.back().sink->admitted(running_.back().id);
        waiting_.pop_front();
      }
      step(waiting_, true);
      step(running_, false);
      if (waiting_.empty() && running_.empty()) idle_.notify_all();
      lock.unlock();
      std::this_thread::sleep_for(script_.step);
      lock.lock();
    }
  }

  void step(std::deque<Item>& items, bool only_ends) {
    std::deque<Item> kept;
    for (Item& item : items) {
      TokenEvent event;
      event.request = item.id;
      if (item.cancelled) {
        event.finish = FinishReason::kCancelled;
      } else if (item.shut_down && only_ends) {
        event.finish = FinishReason::kError;
        event.error = "shutting down";
      } else if (!only_ends && item.prefill > 0) {
        --item.prefill;
        kept.push_back(item);
        continue;
      } else if (!only_ends && item.done == script_.fail_at) {
        event.finish = FinishReason::kError;
        event.error = "boom";
      } else if (!only_ends) {
        event.token = 100 + item.done;
        event.text = event.token_text = " w" + std::to_string(item.done++);
        event.log_prob = -0.5F;
        if (--item.left <= 0) event.finish = FinishReason::kLength;
      } else {
        kept.push_back(item);
        continue;
      }
      if (event.finish == FinishReason::kNone) {
        kept.push_back(item);
      } else {
        ++counts_->finished;
      }
      item.sink->deliver({&event, 1});
    }
    items.swap(kept);
  }

  const Script script_;
  std::shared_ptr<Counts> counts_;
  std::unique_ptr<Tokenizer> tokenizer_;
  ModelInfo info_;
  mutable std::mutex mutex_;
  std::condition_variable idle_;
  std::deque<Item> waiting_, running_;
  uint64_t last_id_ = 0;
  bool stop_ = false, draining_ = false;
  std::thread thread_;
};

}  // namespace tensormill::testing
