#include "base/memory_nodes.h"

#include <linux/mempolicy.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdint>
#include <sstream>

#include "base/read_file.h"

namespace tensormill {

std::vector<int> parse_cpu_list(const std::string& text) {
  std::vector<int> numbers;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, ',');) {
    std::istringstream range(part);
    int first = 0, last = 0;
    char dash = 0;
    if (!(range >> first)) return {};
    if (!(range >> dash >> last)) last = first;
    if (first < 0 || last < first || last >= CPU_SETSIZE) return {};
    for (int number = first; number <= last; ++number) numbers.push_back(number);
  }
  return numbers;
}

std::vector<MemoryNode> memory_nodes(const std::string& root) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return {};
  std::vector<MemoryNode> nodes;
  for (const int id : parse_cpu_list(first_line(root + "/has_memory"))) {
    MemoryNode node{id, {}};
    for (const int cpu :
         parse_cpu_list(first_line(root + "/node" + std::to_string(id) + "/cpulist"))) {
      if (CPU_ISSET(cpu, &allowed)) node.cpus.push_back(cpu);
    }
    if (!node.cpus.empty()) nodes.push_back(std::move(node));
  }
  return nodes;
}

std::vector<int> threads_of_nodes(const std::vector<MemoryNode>& nodes, int threads) {
  int64_t cpus = 0, before = 0;
  for (const MemoryNode& node : nodes) cpus += static_cast<int64_t>(node.cpus.size());
  std::vector<int> counts;
  for (const MemoryNode& node : nodes) {
    const int64_t after = before + static_cast<int64_t>(node.cpus.size());
    counts.push_back(static_cast<int>(threads * after / cpus - threads * before / cpus));
    before = after;
  }
  return counts;
}

void run_on(const std::vector<int>& cpus) {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  for (const int cpu : cpus) CPU_SET(cpu, &mask);
  sched_setaffinity(0, sizeof mask, &mask);
}

void place_on_node(void* data, size_t bytes, int node) {
  constexpr int kBits = sizeof(unsigned long) * CHAR_BIT;
  unsigned long mask[1024 / kBits] = {};
  if (bytes == 0 || node < 0 || node >= 1024) return;
  mask[node / kBits] = 1UL << (node % kBits);
  // The system's call itself: its wrapper is in a library that nothing else here needs.
  syscall(SYS_mbind, data, bytes, MPOL_PREFERRED, mask, 1024UL + 1, 0U);
}

}  // namespace tensormill
