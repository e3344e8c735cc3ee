#include "base/thread_team.h"

#include <atomic>
#include <chrono>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/spin.h"

namespace tensormill {
namespace {

// Long enough to cover the gaps between two steps of a model, short enough to leave an idle
// server's cores alone.
constexpr auto kSpin = std::chrono::microseconds(200);
constexpr int kLooksPerClock = 64;

// Spins until `value` differs from `old`, then parks. C++20's atomic wait is a futex here.
template <class T>
T await_change(const std::atomic<T>& value, T old) {
  const auto deadline = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < kLooksPerClock; ++i) {
      const T now = value.load(std::memory_order_acquire);
      if (now != old) return now;
      spin_pause();
    }
  } while (std::chrono::steady_clock::now() < deadline);
  T now;
  while ((now = value.load(std::memory_order_acquire)) == old) {
    value.wait(old, std::memory_order_acquire);
  }
  return now;
}

}  // namespace

struct ThreadTeam::State {
  std::mutex turn;  // held by the caller of run()
  Job job = nullptr;
  void* context = nullptr;
  bool stop = false;
  alignas(64) std::atomic<uint32_t> round{0};  // a change starts a run
  alignas(64) std::atomic<int> running{0};     // workers that have not finished it
  alignas(64) std::vector<std::thread> workers;

  void start() {
    running.store(static_cast<int>(workers.size()), std::memory_order_relaxed);
    round.fetch_add(1, std::memory_order_release);
    round.notify_all();
  }

  void finish() {
    stop = true;
    start();
    for (std::thread& worker : workers) worker.join();
  }

  void work(int thread) {
    uint32_t seen = 0;
    while (true) {
      seen = await_change(round, seen);
      if (stop) return;
      job(context, thread);
      if (running.fetch_sub(1, std::memory_order_acq_rel) == 1) running.notify_one();
    }
  }

  void join() {
    int left = running.load(std::memory_order_acquire);
    while (left != 0) left = await_change(running, left);
  }
};

ThreadTeam::ThreadTeam(int threads) : state_(std::make_unique<State>()) {
  if (threads < 1 || threads > kMaxThreads) {
    throw_error(ErrorKind::kConfigInvalid, "threads: {}, expected 1 to {}", threads, kMaxThreads);
  }
  State* state = state_.get();
  state->workers.reserve(static_cast<size_t>(threads));
  try {
    for (int t = 1; t < threads; ++t) state->workers.emplace_back([state, t] { state->work(t); });
  } catch (const std::system_error& error) {
    state->finish();
    throw_error(ErrorKind::kOverloaded, "threads: {} could not be started: {}", threads,
                error.what());
  }
}

ThreadTeam::~ThreadTeam() {
  state_->finish();
}

int ThreadTeam::size() const {
  return static_cast<int>(state_->workers.size()) + 1;
}

void ThreadTeam::run(Job job, void* context) {
  State& state = *state_;
  const std::lock_guard turn(state.turn);
  if (state.workers.empty()) return job(context, 0);
  state.job = job;
  state.context = context;
  state.start();
  job(context, 0);
  state.join();
}

}  // namespace tensormill
