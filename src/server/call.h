#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "server/dialect.h"
#include "server/http.h"
#include "server/metrics.h"
#include "server/model_registry.h"

namespace tensormill {

class Call;
using Clock = std::chrono::steady_clock;

// Carries events from the engines' threads to the I/O thread: one wake-up for a batch of events.
class EventInbox {
 public:
  // `post` runs a job on the I/O thread.
  explicit EventInbox(std::function<void(std::function<void()>)> post) : post_(std::move(post)) {}
  void push(Call& call, std::span<TokenEvent> events);  // from any thread

 private:
  void drain();

  std::function<void(std::function<void()>)> post_;
  std::mutex mutex_;
  bool posted_ = false;
  std::vector<std::pair<Call*, TokenEvent>> filling_;   // guarded
  std::vector<std::pair<Call*, TokenEvent>> emptying_;  // the I/O thread's
};

// What all calls share.
struct CallEnvironment {
  EventInbox* inbox;
  Metrics* metrics;
  std::chrono::seconds chunked_read_timeout;
  std::atomic<bool>* draining;
  std::function<void(Call&)> ended;  // the last reference may go
};

// One inference call from its parsed requests to the end of its reply. Made and submitted on a
// worker thread; everything else happens on the I/O thread. Lives until the engine has sent the
// last event of each of its requests.
class Call : public EventSink {
 public:
  Call(const CallEnvironment& environment, std::shared_ptr<HttpExchange> exchange, Dialect dialect)
      : environment_(environment), exchange_(std::move(exchange)), dialect_(dialect) {}

  // Worker thread, in this order; or reject() at any point of it.
  void aim(ModelHandle model, Dialect dialect);
  void prepare(ParsedCall parsed) { parsed_ = std::move(parsed); }
  void submit();  // queues all requests; the outcome is for on_submitted()
  void reject(std::exception_ptr error) { submit_error_ = std::move(error); }
  // I/O thread, after submit() or reject().
  void on_submitted();
  // I/O thread.
  void client_left();
  void on_event(TokenEvent& event);

  void deliver(std::span<TokenEvent> events) override { environment_.inbox->push(*this, events); }
  void admitted(uint64_t request) override;

  // I/O thread. Whether all its requests are still queued, and since when.
  bool waits_for_slot() const { return submitted_done_ && !replied_ && admitted_ == 0; }
  Clock::time_point submitted_at() const { return submitted_at_; }
  const ModelHandle& model() const { return model_; }
  Dialect dialect() const { return dialect_; }
  // Ends the call if a token is overdue.
  void check_timeouts(Clock::time_point now);
  void time_out_waiting();  // no slot within predict_timeout

 private:
  SubmittedText submit_one(TextRequest request);
  bool finished() const { return submitted_done_ && ended_ == submitted_.size() && replied_; }
  void fail(std::exception_ptr error);
  void cancel_all();
  void process(TokenEvent& event);
  void send(const std::string& bytes);
  void complete();
  void reply_failure(const std::exception& error);
  void done(int status);
  size_t input_of(uint64_t request) const;

  const CallEnvironment& environment_;
  std::shared_ptr<HttpExchange> exchange_;
  ModelHandle model_;  // null until the call is aimed
  Dialect dialect_;
  ParsedCall parsed_;
  std::vector<SubmittedText> submitted_;
  std::unordered_map<uint64_t, size_t> inputs_;  // only for calls with several
  std::exception_ptr submit_error_;
  std::atomic<bool> cancelled_{false};  // stops submit() half-way
  std::vector<TokenEvent> early_;       // came before on_submitted()
  size_t ended_ = 0;
  bool submitted_done_ = false, streaming_ = false, replied_ = false;
  Clock::time_point began_ = Clock::now(), submitted_at_ = began_, last_event_ = began_;
  bool first_event_seen_ = false;
  // Written by the engine's thread.
  std::atomic<size_t> admitted_{0};  // requests that left the queue
  std::atomic<Clock::time_point> first_admission_{}, last_admission_{};
};

}  // namespace tensormill
