// What this machine can do at most: machine --help
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/thread_team.h"
#include "kernels/cpu_features.h"
#include "machine/loops.h"
#include "machine/memory.h"

namespace tensormill {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Figure {
  std::string what;
  std::vector<double> rates = {};  // a second
};

OrderedJson summary(const Figure& figure, const char* unit, double scale) {
  std::vector<double> sorted = figure.rates;
  std::sort(sorted.begin(), sorted.end());
  return {{"what", figure.what},
          {"unit", unit},
          {"best", sorted.back() * scale},
          {"median", sorted[sorted.size() / 2] * scale},
          {"min", sorted.front() * scale}};
}

const Reads& best_reads() {
  const CpuFeatures& cpu = cpu_features();
  if (cpu.runs("avx512")) return reads_avx512();
  return cpu.runs("avx2") ? reads_avx2() : reads_portable();
}

// All ways on both kinds of pages, taking turns: the memory's pace swings within minutes.
void measure_reads(ThreadTeam& team, size_t bytes, int rounds, OrderedJson& result) {
  constexpr int64_t kPage = 4096;
  const Reads& reads = best_reads();
  const std::pair<const char*, void (*)(const char*, size_t)> ways[] = {
      {"one stream", reads.one_stream},
      {"two streams", reads.two_streams},
      {"one stream, 4 kB ahead into L2", reads.one_ahead},
      {"two streams, 4 kB ahead into L2", reads.two_ahead},
  };
  const Pages small(bytes, false), huge(bytes, true);
  const auto count = static_cast<int64_t>(bytes);
  std::vector<Figure> figures;
  for (const auto& [pages, name] : {std::pair{&small, "4 kB pages"}, {&huge, "huge pages"}}) {
    team.parallel(count, 2 * kPage, [&, data = pages->data()](int64_t begin, int64_t end) {
      std::memset(data + begin, 1, static_cast<size_t>(end - begin));  // touched by its reader
    });
    for (const auto& way : ways) figures.push_back({fmt::format("{}, {}", name, way.first)});
  }
  for (int round = 0; round < rounds; ++round) {
    size_t next = 0;
    for (const Pages* pages : {&small, &huge}) {
      for (const auto& way : ways) {
        const Clock::time_point start = Clock::now();
        team.parallel(count, 2 * kPage, [&](int64_t begin, int64_t end) {
          way.second(pages->data() + begin, static_cast<size_t>(end - begin));
        });
        figures[next++].rates.push_back(static_cast<double>(bytes) / since(start));
      }
    }
  }
  Figure best{"best way of each round"};
  for (int round = 0; round < rounds; ++round) {
    double rate = 0;
    for (const Figure& figure : figures) {
      rate = std::max(rate, figure.rates[static_cast<size_t>(round)]);
    }
    best.rates.push_back(rate);
  }
  figures.push_back(best);
  result["huge_share"] = static_cast<double>(huge.huge_bytes()) / static_cast<double>(bytes);
  for (const Figure& figure : figures) {
    result["read"].push_back(summary(figure, "GB/s", 1e-9));
  }
}

struct Peak {
  const char* what;
  double (*run)(int64_t rounds);
  bool there;
};

void measure_peaks(ThreadTeam& team, int rounds, OrderedJson& result) {
  const auto has = [](const char* feature) {
    const auto& all = cpu_features().features;
    return std::find(all.begin(), all.end(), feature) != all.end();
  };
  const bool wide = cpu_features().runs("avx512");
  const AmxProducts amx = allow_amx();
  const Peak peaks[] = {
      {"f32 FMA, 256 bits", fma_avx2, cpu_features().runs("avx2")},
      {"f32 FMA, 512 bits", fma_avx512, wide},
      {"bf16 vdpbf16ps, 512 bits", bf16_avx512, wide && has("avx512_bf16")},
      {"int8 vpdpbusd, 512 bits", int8_avx512, wide && has("avx512_vnni")},
      {"bf16 AMX tiles", bf16_amx, amx.bf16},
      {"int8 AMX tiles", int8_amx, amx.int8},
  };
  std::vector<Figure> figures;
  for (const Peak& peak : peaks) figures.push_back({peak.what});
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < std::size(peaks); ++i) {
      if (!peaks[i].there) continue;
      constexpr int64_t kRounds = 500000;  // some milliseconds
      std::vector<double> done(static_cast<size_t>(team.size()));
      const Clock::time_point start = Clock::now();
      team.parallel(team.size(), 1, [&](int64_t thread, int64_t) {
        done[static_cast<size_t>(thread)] = peaks[i].run(kRounds);
      });
      double operations = 0;
      for (const double each : done) operations += each;
      figures[i].rates.push_back(operations / since(start));
    }
  }
  for (const Figure& figure : figures) {
    if (!figure.rates.empty()) result["peaks"].push_back(summary(figure, "Gop/s", 1e-9));
  }
}

void print_table(const OrderedJson& all) {
  fmt::print("{}; {} MiB read a round, {} rounds\n", all["cpu"].get<std::string>(),
             all["mib"].get<int>(), all["rounds"].get<int>());
  for (const OrderedJson& run : all["runs"]) {
    fmt::print("\n{} threads ({:.0f} % of the huge pages were given)\n", run["threads"].get<int>(),
               100 * run["huge_share"].get<double>());
    fmt::print("{:<46} {:>9} {:>9} {:>9}\n", "", "best", "median", "min");
    for (const char* part : {"read", "peaks"}) {
      if (!run.contains(part)) continue;
      for (const OrderedJson& row : run[part]) {
        fmt::print("{:<46} {:>9.1f} {:>9.1f} {:>9.1f} {}\n", row["what"].get<std::string>(),
                   row["best"].get<double>(), row["median"].get<double>(), row["min"].get<double>(),
                   row["unit"].get<std::string>());
      }
    }
  }
}

int run(int argc, char** argv) {
  CLI::App app("Read bandwidth and arithmetic peaks of this machine's CPU, by threads.", "machine");
  int mib = 512, rounds = 5;
  bool json = false;
  std::vector<int> threads;
  app.add_option("--mib", mib, "MiB that a round reads, on small and on huge pages (needs twice)")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--rounds", rounds, "rounds; every way takes its turn in each")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--threads", threads, "1,2,4 (default: one, and all physical cores)")
      ->delimiter(',')
      ->check(CLI::Range(1, ThreadTeam::kMaxThreads));
  app.add_flag("--json", json, "print one JSON object");
  CLI11_PARSE(app, argc, argv);
  if (threads.empty()) threads = {1};
  if (threads.size() == 1 && threads[0] == 1 && usable_cores() > 1) {
    if (app.count("--threads") == 0) threads.push_back(usable_cores());
  }
  OrderedJson all = {{"cpu", cpu_features().model},
                     {"levels", cpu_features().levels},
                     {"mib", mib},
                     {"rounds", rounds},
                     {"runs", OrderedJson::array()}};
  for (const int count : threads) {
    ThreadTeam team(count);
    OrderedJson result = {{"threads", count}};
    measure_reads(team, static_cast<size_t>(mib) << 20, rounds, result);
    measure_peaks(team, rounds, result);
    all["runs"].push_back(result);
  }
  if (json) {
    fmt::print("{}\n", all.dump(2));
  } else {
    print_table(all);
  }
  return 0;
}

}  // namespace
}  // namespace tensormill

int main(int argc, char** argv) {
  try {
    return tensormill::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "machine: {}\n", error.what());
    return 1;
  }
}
