#include "base/memory_nodes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "scratch.h"

namespace tensormill {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<int> allowed_cpus() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  sched_getaffinity(0, sizeof mask, &mask);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &mask)) cpus.push_back(cpu);
  }
  return cpus;
}

void write(const std::filesystem::path& file, const std::string& text) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file) << text << "\n";
}

TEST(MemoryNodes, ReadsListsOfCpus) {
  EXPECT_THAT(parse_cpu_list("0-3,8,10-11"), ElementsAre(0, 1, 2, 3, 8, 10, 11));
  EXPECT_THAT(parse_cpu_list("5"), ElementsAre(5));
  for (const char* bad : {"", "x", "3-1", "-1", "0-99999999"}) {
    EXPECT_THAT(parse_cpu_list(bad), IsEmpty()) << bad;
  }
}

TEST(MemoryNodes, AreThoseWithCpusOfThisProcess) {
  const std::vector<int> cpus = allowed_cpus();
  const std::filesystem::path root = scratch_folder("nodes");
  write(root / "has_memory", "0,2-4");
  write(root / "node0/cpulist", std::to_string(cpus.front()));
  write(root / "node2/cpulist", "");  // memory without CPUs
  write(root / "node3/cpulist", std::to_string(cpus.back()) + ",1000-1023");
  const std::vector<MemoryNode> nodes = memory_nodes(root.string());
  ASSERT_EQ(nodes.size(), 2u);
  EXPECT_EQ(nodes[0].id, 0);
  EXPECT_THAT(nodes[0].cpus, ElementsAre(cpus.front()));
  EXPECT_EQ(nodes[1].id, 3);
  EXPECT_THAT(nodes[1].cpus, ElementsAre(cpus.back()));
  EXPECT_THAT(memory_nodes((root / "nowhere").string()), IsEmpty());
}

TEST(MemoryNodes, GetThreadsByTheirCpus) {
  const std::vector<MemoryNode> even = {{0, {0, 1, 2, 3}}, {1, {4, 5, 6, 7}}};
  EXPECT_THAT(threads_of_nodes(even, 8), ElementsAre(4, 4));
  EXPECT_THAT(threads_of_nodes(even, 5), ElementsAre(2, 3));
  const std::vector<MemoryNode> odd = {{0, {0, 1, 2}}, {1, {3}}};
  EXPECT_THAT(threads_of_nodes(odd, 4), ElementsAre(3, 1));
  EXPECT_THAT(threads_of_nodes(odd, 1), ElementsAre(0, 1));
}

TEST(MemoryNodes, ThreadStaysWhereItIsPut) {
  const std::vector<int> cpus = allowed_cpus();
  std::thread([&] {
    run_on({cpus.back()});
    EXPECT_EQ(sched_getcpu(), cpus.back());
    EXPECT_THAT(allowed_cpus(), ElementsAre(cpus.back()));
    run_on({});  // refused
    EXPECT_THAT(allowed_cpus(), ElementsAre(cpus.back()));
  }).join();
  EXPECT_EQ(allowed_cpus(), cpus);
}

// On a machine of one node every wish is granted; a node that isn't there changes nothing.
TEST(MemoryNodes, PlacedMemoryIsUsable) {
  constexpr size_t kBytes = size_t{1} << 20;
  void* data = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(data, MAP_FAILED);
  place_on_node(data, kBytes / 2, 0);
  place_on_node(static_cast<char*>(data) + kBytes / 2, kBytes / 2, 999);
  static_cast<char*>(data)[kBytes - 1] = 1;
  EXPECT_EQ(static_cast<char*>(data)[0], 0);
  munmap(data, kBytes);
}

}  // namespace
}  // namespace tensormill
