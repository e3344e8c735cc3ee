#include "artifacts/progress.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace tensormill {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kTick = std::chrono::milliseconds(100), kLineEvery = std::chrono::milliseconds(5000),
               kSaveEvery = std::chrono::milliseconds(1000);

}  // namespace

std::string bytes_text(double bytes) {
  constexpr std::array kUnits = {"B", "kB", "MB", "GB", "TB"};
  size_t unit = 0;
  while (bytes >= 999.95 && unit + 1 < kUnits.size()) {
    bytes /= 1000;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

Progress::Progress(std::string label, int64_t total, std::function<void()> every_second)
    : label_(std::move(label)),
      total_(total),
      every_second_(std::move(every_second)),
      terminal_(::isatty(STDERR_FILENO) == 1 && spdlog::should_log(spdlog::level::info)),
      thread_([this] { run(); }) {}

Progress::~Progress() {
  ending_ = true;
  thread_.join();
  if (terminal_ && shown_) {
    fmt::print(stderr, "\r\x1b[K");
    std::fflush(stderr);
  }
  if (shown_) spdlog::info("{}", text());
}

std::string Progress::text() const {
  const double seconds = std::chrono::duration<double>(Clock::now() - began_).count();
  const auto done = static_cast<double>(std::max<int64_t>(0, done_)),
             total = static_cast<double>(total_);
  const double rate = seconds > 0 ? done / seconds : 0;
  std::string line = fmt::format("{}: {}", label_, bytes_text(done));
  if (total_ > 0) {
    line += fmt::format(" of {} ({:.0f} %)", bytes_text(total), 100 * std::min(1.0, done / total));
  }
  line += fmt::format(", {}/s", bytes_text(rate));
  if (total_ > 0 && rate > 0 && done < total) {
    line += fmt::format(", {:.0f} s left", (total - done) / rate);
  }
  return line;
}

void Progress::run() {
  auto line_due = began_ + (terminal_ ? std::chrono::milliseconds(200) : kLineEvery);
  auto save_due = began_ + kSaveEvery;
  while (!ending_) {
    std::this_thread::sleep_for(kTick);
    const auto now = Clock::now();
    if (now >= save_due) {
      every_second_();
      save_due = now + kSaveEvery;
    }
    if (now < line_due) continue;
    shown_ = true;
    if (terminal_) {
      fmt::print(stderr, "\r{}\x1b[K", text());
      std::fflush(stderr);
      line_due = now + 2 * kTick;
    } else {
      spdlog::info("{}", text());
      line_due = now + kLineEvery;
    }
  }
}

}  // namespace tensormill
