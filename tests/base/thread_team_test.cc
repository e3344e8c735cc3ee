#include "base/thread_team.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <set>
#include <thread>
#include <vector>

namespace tensormill {
namespace {

TEST(ThreadTeam, EachThreadRunsOnce) {
  for (const int threads : {1, 2, 5}) {
    ThreadTeam team(threads);
    ASSERT_EQ(team.size(), threads);
    for (int round = 0; round < 200; ++round) {
      std::vector<int> calls(static_cast<size_t>(threads));  // one slot a thread: no race
      team.run([](void* c, int t) { ++(*static_cast<std::vector<int>*>(c))[size_t(t)]; }, &calls);
      ASSERT_EQ(calls, std::vector<int>(static_cast<size_t>(threads), 1));
    }
  }
}

TEST(ThreadTeam, WakesAfterParking) {
  ThreadTeam team(3);
  std::atomic<int> calls{0};
  for (int round = 0; round < 3; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // well beyond the spin
    team.run([](void* c, int) { ++*static_cast<std::atomic<int>*>(c); }, &calls);
  }
  EXPECT_EQ(calls, 9);
}

// The caller parks too when its workers take long.
TEST(ThreadTeam, WaitsForSlowWorkers) {
  ThreadTeam team(3);
  std::atomic<int> done{0};
  team.run(
      [](void* c, int thread) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10 * thread));
        ++*static_cast<std::atomic<int>*>(c);
      },
      &done);
  EXPECT_EQ(done, 3);
}

TEST(ThreadTeam, ParallelCoversTheRangeOnceAtTheGrain) {
  ThreadTeam team(3);
  for (const int64_t count : {0, 1, 7, 8, 9, 64, 1001}) {
    for (const int64_t grain : {1, 4, 100}) {
      std::vector<std::atomic<int>> seen(static_cast<size_t>(count));
      std::atomic<int> ragged{0};
      team.parallel(count, grain, [&](int64_t begin, int64_t end) {
        if (begin % grain != 0 || (end % grain != 0 && end != count)) ++ragged;
        for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
      });
      for (const auto& times : seen) ASSERT_EQ(times, 1) << count << " by " << grain;
      ASSERT_EQ(ragged, 0);
    }
  }
}

TEST(ThreadTeam, CallersTakeTurns) {
  ThreadTeam team(2);
  int inside = 0, total = 0;  // guarded by the turn alone: the sanitizer would see a race
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      for (int round = 0; round < 100; ++round) {
        team.parallel(1, 1, [](int64_t, int64_t) {});
        struct Both {
          int *inside, *total;
        } both{&inside, &total};
        team.run(
            [](void* c, int thread) {
              if (thread != 0) return;
              auto& b = *static_cast<Both*>(c);
              *b.total += ++*b.inside;
              --*b.inside;
            },
            &both);
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(total, 400);
}

// What one thread runs while it holds the team isn't interrupted by another's runs.
TEST(ThreadTeam, HoldKeepsOthersOut) {
  ThreadTeam team(2);
  int owner = 0, broken = 0;  // guarded by the hold
  std::vector<std::thread> callers;
  for (int i = 1; i <= 3; ++i) {
    callers.emplace_back([&, i] {
      for (int round = 0; round < 50; ++round) {
        team.parallel(2, 1, [](int64_t, int64_t) {});  // between others' holds
        const ThreadTeam::Hold hold(team);
        owner = i;
        for (int step = 0; step < 5; ++step) {
          team.run([](void*, int) {}, nullptr);
          if (owner != i) ++broken;
        }
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(broken, 0);
}

TEST(UsableCores, AtLeastOneAndNoMoreThanThere) {
  EXPECT_GE(usable_cores(), 1);
  EXPECT_LE(usable_cores(), static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace
}  // namespace tensormill
