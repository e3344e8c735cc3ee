#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace tensormill {

// A node of memory (a socket's, mostly) and the CPUs beside it that this process may use.
struct MemoryNode {
  int id = 0;
  std::vector<int> cpus;
};

// Nodes with such CPUs, ascending, as the system lists them under `root`. Empty when it lists none.
std::vector<MemoryNode> memory_nodes(const std::string& root = "/sys/devices/system/node");

// The numbers of a list such as "0-3,8,10-11". Empty when it can't be read.
std::vector<int> parse_cpu_list(const std::string& text);

// How many of `threads` each node gets: in proportion to its CPUs, threads of a node being
// neighbours. The sum is `threads`.
std::vector<int> threads_of_nodes(const std::vector<MemoryNode>& nodes, int threads);

// The calling thread and those it starts run on these CPUs alone from now on. A wish: where the
// system refuses, nothing changes.
void run_on(const std::vector<int>& cpus);

// Asks that pages of [data, data + bytes) that nobody has touched yet come from that node. A wish,
// too; `data` is at the start of a page.
void place_on_node(void* data, size_t bytes, int node);

}  // namespace tensormill
