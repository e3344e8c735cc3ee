#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <vector>

namespace tensormill {

// The real binary with these arguments; its standard error comes back, its standard output goes
// nowhere.
class Program {
 public:
  explicit Program(const std::vector<std::string>& arguments) {
    int pipe_ends[2];
    if (::pipe2(pipe_ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    std::vector<std::string> words = {TENSORMILL_BINARY};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    process_ = ::fork();
    if (process_ == 0) {
      ::dup2(::open("/dev/null", O_RDWR), STDOUT_FILENO);
      ::dup2(pipe_ends[1], STDERR_FILENO);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    ::close(pipe_ends[1]);
    output_ = pipe_ends[0];
  }
  ~Program() {
    if (process_ > 0) {
      ::kill(process_, SIGKILL);
      ::waitpid(process_, nullptr, 0);
    }
    ::close(output_);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // Reads what it says until `text` comes or it ends; false: neither within 20 s, or it ended.
  bool says(const std::string& text) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (text.empty() || said_.find(text) == std::string::npos) {
      pollfd poll{output_, POLLIN, 0};
      if (::poll(&poll, 1, 100) > 0) {
        char buffer[4096];
        const ssize_t count = ::read(output_, buffer, sizeof buffer);
        if (count <= 0) return text.empty();
        said_.append(buffer, static_cast<size_t>(count));
      } else if (std::chrono::steady_clock::now() > deadline) {
        return false;
      }
    }
    return true;
  }

  // The exit code, or minus the signal that ended it; -SIGKILL if it ran for 20 s more.
  int wait() {
    if (!says("")) ::kill(process_, SIGKILL);
    int status = 0;
    rusage usage{};
    ::wait4(process_, &status, 0, &usage);
    process_ = -1;
    peak_mib_ = usage.ru_maxrss / 1024;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  bool running() const { return ::waitpid(process_, nullptr, WNOHANG) == 0; }
  void terminate() const { ::kill(process_, SIGTERM); }
  const std::string& said() const { return said_; }
  long peak_mib() const { return peak_mib_; }

 private:
  pid_t process_ = -1;
  int output_ = -1;
  std::string said_;
  long peak_mib_ = 0;
};

}  // namespace tensormill
