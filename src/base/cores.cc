#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <thread>

#include "base/read_file.h"
#include "base/thread_team.h"

namespace tensormill {
namespace {

// Cores of the affinity mask; hyper-threads of one core share the list of their siblings.
int cores_of_mask() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof mask, &mask) != 0) {
    return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  }
  std::set<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &mask)) continue;
    const std::string name = std::to_string(cpu);
    const std::string siblings =
        first_line("/sys/devices/system/cpu/cpu" + name + "/topology/thread_siblings_list");
    cores.insert(siblings.empty() ? name : siblings);
  }
  return std::max(1, static_cast<int>(cores.size()));
}

// CPUs' worth of time that "quota period" allows; infinite for "max", -1 or what can't be read.
double share(const std::string& quota_and_period) {
  std::istringstream in(quota_and_period);
  double quota = 0, period = 0;
  if (!(in >> quota >> period) || quota <= 0 || period <= 0) return INFINITY;
  return quota / period;
}

// The tightest quota of a group and the groups around it. `read` gives "quota period" of a folder.
template <class Read>
double tightest(const std::string& root, std::string group, Read read) {
  double least = read(root);
  while (!group.empty() && group != "/") {
    least = std::min(least, read(root + group));
    group.resize(group.find_last_of('/') == std::string::npos ? 0 : group.find_last_of('/'));
  }
  return least;
}

double cgroup_quota() {
  double least = INFINITY;
  std::ifstream groups("/proc/self/cgroup");  // lines "id:controllers:/path"
  for (std::string line; std::getline(groups, line);) {
    const size_t one = line.find(':'), two = line.find(':', one + 1);
    if (one == std::string::npos || two == std::string::npos) continue;
    std::string controllers = ",";
    controllers.append(line, one + 1, two - one - 1).append(",");
    const std::string path = line.substr(two + 1);
    if (controllers == ",,") {
      least = std::min(least, tightest("/sys/fs/cgroup", path, [](const std::string& folder) {
                         return share(first_line(folder + "/cpu.max"));
                       }));
    } else if (controllers.find(",cpu,") != std::string::npos) {
      least = std::min(least, tightest("/sys/fs/cgroup/cpu", path, [](const std::string& folder) {
                         return share(first_line(folder + "/cpu.cfs_quota_us") + " " +
                                      first_line(folder + "/cpu.cfs_period_us"));
                       }));
    }
  }
  return least;
}

}  // namespace

int usable_cores() {
  const int cores = cores_of_mask();
  const double quota = cgroup_quota();
  return quota < cores ? std::max(1, static_cast<int>(std::ceil(quota))) : cores;
}

}  // namespace tensormill
