#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace tensormill {

// Threads that stay. One team serves all models of a process; the caller of run() is its thread 0.
// Between runs the others spin briefly, then park. On a machine with several nodes of memory its
// threads are spread over them, neighbours on one node, and stay on their node's CPUs.
class ThreadTeam {
 public:
  using Job = void (*)(void* context, int thread);
  static constexpr int kMaxThreads = 4096;

  // `threads` counts the caller. Errors: kConfigInvalid unless from 1 to kMaxThreads; kOverloaded
  // when the system starts no more.
  explicit ThreadTeam(int threads);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  int size() const;

  // Asks that each node's memory holds the share of [data, data + bytes) that its threads take when
  // parallel() splits it. For large memory that is read often and that nobody has touched yet;
  // does nothing on one node.
  void place(void* data, size_t bytes) const;

  // Calls job(context, t) for t in [0, size()) and returns when all are done. Calls from several
  // threads take turns. A job must not throw and must not call run() of the same team.
  void run(Job job, void* context);

  // While it lives, only the thread that made it runs jobs: others wait, parked, and are served in
  // the order they came. For work of many runs, such as a model's step: threads that took turns
  // run by run would wake and stop each other all the time. The thread moves to the node of
  // thread 0 and stays there. Not to be nested.
  class Hold {
   public:
    explicit Hold(ThreadTeam& team);
    ~Hold();
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    ThreadTeam& team_;
  };

  // Splits [0, count) into contiguous ranges, at most one a thread, borders at multiples of
  // `grain`, and calls f(begin, end) for each that isn't empty.
  template <class F>
  void parallel(int64_t count, int64_t grain, F&& f) {
    if (count <= 0) return;
    if (size() == 1 || count <= grain) {
      f(int64_t{0}, count);
      return;
    }
    struct Context {
      F* f;
      int64_t count, grain, parts;
    } context{&f, count, grain, size()};
    run(
        [](void* opaque, int thread) {
          const auto& c = *static_cast<Context*>(opaque);
          const int64_t units = (c.count + c.grain - 1) / c.grain;
          const int64_t begin = units * thread / c.parts * c.grain;
          int64_t end = units * (thread + 1) / c.parts * c.grain;
          if (end > c.count) end = c.count;
          if (begin < end) (*c.f)(begin, end);
        },
        &context);
  }

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The cores this process may use: affinity mask and cgroup quota honoured, hyper-threads counted
// once.
int usable_cores();

}  // namespace tensormill
