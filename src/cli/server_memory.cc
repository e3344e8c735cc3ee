#include "cli/server_memory.h"

#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <system_error>

#include <fmt/format.h>

namespace tensormill {
namespace {

namespace fs = std::filesystem;

// Names of the sockets that listen on the port, as links in /proc/PID/fd have them.
std::set<std::string> listening(const std::string& port) {
  constexpr const char* kListens = "0A";
  std::set<std::string> sockets;
  for (const char* file : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream in(file);
    std::string line;
    while (std::getline(in, line)) {
      std::istringstream words(line);
      std::string number, local, remote, state, skipped, inode;
      words >> number >> local >> remote >> state;
      for (int i = 0; i < 5; ++i) words >> skipped;
      words >> inode;
      const size_t colon = local.rfind(':');
      if (state != kListens || colon == std::string::npos) continue;
      int listens = 0, asked = 0;
      std::from_chars(local.data() + colon + 1, local.data() + local.size(), listens, 16);
      std::from_chars(port.data(), port.data() + port.size(), asked);
      if (listens == asked) sockets.insert(fmt::format("socket:[{}]", inode));
    }
  }
  return sockets;
}

}  // namespace

int listener_of(const std::string& port) {
  const std::set<std::string> sockets = listening(port);
  if (sockets.empty()) return 0;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    int process = 0;
    const auto [end, bad] = std::from_chars(name.data(), name.data() + name.size(), process);
    if (bad != std::errc() || end != name.data() + name.size()) continue;
    for (const fs::directory_entry& file : fs::directory_iterator(entry.path() / "fd", error)) {
      if (sockets.count(fs::read_symlink(file.path(), error)) > 0) return process;
    }
  }
  return 0;
}

ProcessMemory memory_of(int process) {
  std::ifstream status(fmt::format("/proc/{}/status", process));
  ProcessMemory memory;
  for (std::string word; status >> word;) {
    int64_t kib = 0;
    if (word == "RssAnon:" && status >> kib) memory.anonymous = kib << 10;
    if (word == "VmHWM:" && status >> kib) memory.peak = kib << 10;
  }
  return memory;
}

}  // namespace tensormill
