#include "base/thread_team.h"

#include <atomic>
#include <chrono>
#include <system_error>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/memory_nodes.h"
#include "base/spin.h"

namespace tensormill {
namespace {

// Long enough to cover the gaps between two steps of a model, short enough to leave an idle
// server's cores alone.
constexpr auto kSpin = std::chrono::microseconds(200);
constexpr int kLooksPerClock = 64;
constexpr size_t kHugePage = size_t{2} << 20;
// Below this many huge pages a node's share is mostly its border.
constexpr size_t kLeastPages = 2;

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
  // Who may run jobs: tickets are served in order.
  std::atomic<uint32_t> tickets{0}, serving{0};
  std::atomic<std::thread::id> holder{};
  Job job = nullptr;
  void* context = nullptr;
  bool stop = false;
  std::vector<MemoryNode> nodes;               // empty where there is but one
  std::vector<int> threads_of;                 // of each node
  std::vector<const MemoryNode*> home;         // of each thread
  alignas(64) std::atomic<uint32_t> round{0};  // a change starts a run
  alignas(64) std::atomic<int> running{0};     // workers that have not finished it
  alignas(64) std::vector<std::thread> workers;

  void spread(int threads) {
    nodes = memory_nodes();
    if (nodes.size() < 2) return nodes.clear();
    threads_of = threads_of_nodes(nodes, threads);
    for (size_t n = 0; n < nodes.size(); ++n) {
      home.insert(home.end(), static_cast<size_t>(threads_of[n]), &nodes[n]);
    }
  }

  void go_home(int thread) const {
    if (!home.empty()) run_on(home[static_cast<size_t>(thread)]->cpus);
  }

  void take_turn() {
    const uint32_t ticket = tickets.fetch_add(1, std::memory_order_relaxed);
    uint32_t now;
    while ((now = serving.load(std::memory_order_acquire)) != ticket) serving.wait(now);
  }

  void pass_turn() {
    serving.fetch_add(1, std::memory_order_release);
    serving.notify_all();
  }

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
    go_home(thread);
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
  state->spread(threads);
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

void ThreadTeam::place(void* data, size_t bytes) const {
  const State& state = *state_;
  if (state.nodes.empty() || bytes < state.nodes.size() * kLeastPages * kHugePage) return;
  auto* const begin = static_cast<char*>(data);
  int threads = 0;
  size_t from = 0;
  for (size_t n = 0; n < state.nodes.size(); ++n) {
    threads += state.threads_of[n];
    // Borders between huge pages: a page is on one node.
    size_t to = bytes * static_cast<size_t>(threads) / state.home.size() / kHugePage * kHugePage;
    if (n + 1 == state.nodes.size()) to = bytes;
    place_on_node(begin + from, to - from, state.nodes[n].id);
    from = to;
  }
}

void ThreadTeam::run(Job job, void* context) {
  State& state = *state_;
  const bool held = state.holder.load(std::memory_order_relaxed) == std::this_thread::get_id();
  if (!held) state.take_turn();
  if (state.workers.empty()) {
    job(context, 0);
  } else {
    state.job = job;
    state.context = context;
    state.start();
    job(context, 0);
    state.join();
  }
  if (!held) state.pass_turn();
}

ThreadTeam::Hold::Hold(ThreadTeam& team) : team_(team) {
  team_.state_->take_turn();
  team_.state_->holder.store(std::this_thread::get_id(), std::memory_order_relaxed);
  thread_local const State* at_home = nullptr;
  if (at_home != team_.state_.get()) team_.state_->go_home(0);
  at_home = team_.state_.get();
}

ThreadTeam::Hold::~Hold() {
  team_.state_->holder.store({}, std::memory_order_relaxed);
  team_.state_->pass_turn();
}

}  // namespace tensormill
