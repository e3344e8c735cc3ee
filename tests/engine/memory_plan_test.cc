#include "engine/memory_plan.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "../scratch.h"
#include "base/error.h"
#include "kernels/table.h"

namespace tensormill {
namespace {

CacheMemory host(int64_t available) {
  CacheMemory memory;
  memory.available = available;
  return memory;
}

TEST(CachePlan, EnoughForAllSequencesOrShareOfMemory) {
  EngineOptions options;
  options.max_sequences = 4;
  options.max_tokens = 100;  // 4 blocks
  const CachePlan all = plan_cache(options, 1000, host(int64_t{1} << 40));
  EXPECT_EQ(all.blocks, 16);
  EXPECT_EQ(all.bytes, 16 * kBlockTokens * 1000);
  const CachePlan some = plan_cache(options, 1000, host(10 * kBlockTokens * 1000));
  EXPECT_EQ(some.blocks, 6);
  try {
    plan_cache(options, 1000, host(5 * kBlockTokens * 1000));
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kOutOfMemory);
    EXPECT_NE(std::string(error.what()).find("max_tokens"), std::string::npos);
  }
}

TEST(CachePlan, ExplicitBytes) {
  EngineOptions options;
  options.cache_bytes = 7 * kBlockTokens * 10 + 5;
  EXPECT_EQ(plan_cache(options, 10, host(0)).blocks, 7);
  options.cache_bytes = 5;
  EXPECT_THROW(plan_cache(options, 10, host(int64_t{1} << 40)), Error);
}

TEST(CachePlan, OfADevice) {
  EngineOptions options;
  options.max_sequences = 4;
  options.max_tokens = 100;  // 4 blocks
  options.gpu_memory_utilization = 0.75;
  constexpr int64_t kBlock = kBlockTokens * 1000;
  CacheMemory memory = {60 * kBlock, "gpu", 100 * kBlock, 30 * kBlock, 10 * kBlock};
  EXPECT_EQ(plan_cache(options, 1000, memory).blocks, 35);
  options.prefix_sharing = false;
  EXPECT_EQ(plan_cache(options, 1000, memory).blocks, 16);
  options.prefix_sharing = true;
  memory.available = 99 * kBlock;
  EXPECT_EQ(plan_cache(options, 1000, memory).blocks, 64);
  memory.available = 28 * kBlock;
  EXPECT_THROW(plan_cache(options, 1000, memory), Error);
  memory.available = 5 * kBlock;
  EXPECT_THROW(plan_cache(options, 1000, memory), Error);
  EXPECT_EQ(least_blocks(options, 1000), 4);
  options.cache_bytes = 3 * kBlock;
  EXPECT_EQ(least_blocks(options, 1000), 3);
}

class AvailableMemory : public testing::Test {
 protected:
  AvailableMemory() {
    root_ = scratch_folder("tensormill_memory_test");
    std::filesystem::remove_all(root_);
  }
  ~AvailableMemory() override { std::filesystem::remove_all(root_); }
  void write(const std::string& file, const std::string& text) {
    std::filesystem::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text;
  }
  int64_t measure() { return available_memory(root_.string()); }

 private:
  std::filesystem::path root_;
};

TEST_F(AvailableMemory, SmallestOfSystemAndGroups) {
  write("proc/meminfo", "MemTotal: 9000 kB\nMemAvailable:    8000 kB\n");
  EXPECT_EQ(measure(), 8000 * 1024);
  write("sys/fs/cgroup/memory.max", "max\n");
  write("sys/fs/cgroup/memory.current", "5\n");
  EXPECT_EQ(measure(), 8000 * 1024);
  write("proc/self/cgroup", "0::/a/b\n");
  write("sys/fs/cgroup/a/memory.max", "5000000\n");
  write("sys/fs/cgroup/a/memory.current", "4000000\n");
  write("sys/fs/cgroup/a/memory.stat", "anon 1\ninactive_file 500000\n");
  write("sys/fs/cgroup/a/b/memory.max", "max\n");
  EXPECT_EQ(measure(), 1500000);
  write("sys/fs/cgroup/a/b/memory.max", "900\n");
  write("sys/fs/cgroup/a/b/memory.current", "1000\n");
  EXPECT_EQ(measure(), 0);
}

TEST_F(AvailableMemory, FirstVersionOfControlGroups) {
  write("proc/meminfo", "MemAvailable: 8000 kB\n");
  write("proc/self/cgroup", "4:cpu:/x\n3:memory:/job\n");
  write("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "70000\n");
  write("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "10000\n");
  EXPECT_EQ(measure(), 60000);
}

TEST_F(AvailableMemory, ThisMachineHasSome) {
  EXPECT_GT(available_memory(), 1 << 20);
}

}  // namespace
}  // namespace tensormill
