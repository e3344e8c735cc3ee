#include "models/load_progress.h"

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include <memory>
#include <sstream>

#include "base/log.h"

namespace tensormill {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

// What a load with these waits logs.
std::string logged(milliseconds first, milliseconds every) {
  std::ostringstream text;
  const auto before = spdlog::default_logger();
  const auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(text);
  sink->set_pattern("%v");
  spdlog::set_default_logger(std::make_shared<spdlog::logger>("test", sink));
  int calls = 0;
  const LoadProgress progress = logged_progress(
      "a/b", [&](const char*, int64_t, int64_t) { ++calls; }, first, every);
  for (int64_t done = 0; done <= 4; ++done) progress("loading weights", done << 28, 1 << 30);
  spdlog::set_default_logger(before);
  EXPECT_EQ(calls, 5);
  return text.str();
}

TEST(LoadProgress, SaysHowFarALongLoadIs) {
  EXPECT_EQ(logged(milliseconds(0), milliseconds(0)),
            "a/b: loading weights, 0 % of 1.07 GB\na/b: loading weights, 25 % of 1.07 GB\n"
            "a/b: loading weights, 50 % of 1.07 GB\na/b: loading weights, 75 % of 1.07 GB\n");
  EXPECT_EQ(logged(milliseconds(0), hours(1)), "a/b: loading weights, 0 % of 1.07 GB\n");
}

TEST(LoadProgress, IsSilentInAShortLoad) {
  EXPECT_EQ(logged(hours(1), milliseconds(0)), "");
}

TEST(LoadProgress, NeedsNobodyElse) {
  logged_progress("a/b", nullptr)("loading weights", 1, 2);
}

}  // namespace
}  // namespace tensormill
