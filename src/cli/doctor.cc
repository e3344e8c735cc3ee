#include <fmt/core.h>
#include <openssl/crypto.h>
#include <CLI/Version.hpp>
#include <boost/version.hpp>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <spdlog/version.h>
#include <utf8proc.h>
#include <zlib.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/memory_nodes.h"
#include "base/thread_team.h"
#include "cli/command.h"
#include "kernels/cpu_features.h"
#include "kernels/cuda.h"
#include "kernels/table.h"

namespace tensormill {
namespace {

void row(const char* name, const std::string& value) {
  fmt::print("{:<18}{}\n", name, value);
}

std::string joined(const std::vector<std::string>& words) {
  std::string all;
  for (const std::string& word : words) all += all.empty() ? word : " " + word;
  return all.empty() ? "none" : all;
}

// "always [madvise] never": the word in brackets, and what it means for large weights.
std::string huge_pages() {
  std::ifstream in("/sys/kernel/mm/transparent_hugepage/enabled");
  std::string line;
  if (!std::getline(in, line)) return "not offered by this kernel: decoding reads memory slower";
  const size_t begin = line.find('['), end = line.find(']');
  if (begin == std::string::npos || end == std::string::npos || end < begin) return line;
  const std::string mode = line.substr(begin + 1, end - begin - 1);
  return mode == "never" ? "never: decoding reads memory slower (madvise or always is better)"
                         : mode + ": weights and KV cache use them";
}

// A line of /proc/meminfo in GiB; negative where it isn't there.
double memory(const std::string& key) {
  std::ifstream in("/proc/meminfo");
  std::string name, unit;
  for (double kib; in >> name >> kib && std::getline(in, unit);) {
    if (name == key + ":") return kib / (1 << 20);
  }
  return -1;
}

void print_libraries() {
  char pcre[64] = "?";
  pcre2_config(PCRE2_CONFIG_VERSION, pcre);
  fmt::print("libraries\n");
  const auto library = [](const char* name, const std::string& version) {
    fmt::print("  {:<16}{}\n", name, version);
  };
  library("Boost", fmt::format("{}.{}.{}", BOOST_VERSION / 100000, BOOST_VERSION / 100 % 1000,
                               BOOST_VERSION % 100));
  library("OpenSSL", OpenSSL_version(OPENSSL_VERSION));
  library("nlohmann-json", fmt::format("{}.{}.{}", NLOHMANN_JSON_VERSION_MAJOR,
                                       NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH));
  library("spdlog", fmt::format("{}.{}.{}", SPDLOG_VER_MAJOR, SPDLOG_VER_MINOR, SPDLOG_VER_PATCH));
  library("fmt",
          fmt::format("{}.{}.{}", FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100));
  library("CLI11", CLI11_VERSION);
  library("PCRE2", pcre);
  library("utf8proc", utf8proc_version());
  library("zlib", zlibVersion());
}

void print_gpus() {
  if (!built_with_cuda()) {
    row("GPUs", "not used: this program was built without CUDA");
    return;
  }
  const std::vector<CudaInfo> gpus = cuda_devices();
  row("CUDA", cuda_versions());
  if (gpus.empty()) row("GPUs", "none that this process may use");
  for (size_t i = 0; i < gpus.size(); ++i) {
    const CudaInfo& gpu = gpus[i];
    const CudaState state = cuda_state(static_cast<int>(i));
    constexpr double kGiB = 1024.0 * 1024 * 1024;
    row(i == 0 ? "GPUs" : "",
        fmt::format("cuda:{} {}, compute capability {}.{}, {} multiprocessors, {:.1f} GiB, {:.1f} "
                    "available{}",
                    i, gpu.name, gpu.major, gpu.minor, gpu.multiprocessors,
                    static_cast<double>(gpu.total) / kGiB,
                    static_cast<double>(state.available) / kGiB,
                    state.runs ? "" : "; not used: this program has no kernels for it"));
  }
}

int doctor(const CommonOptions& options) {
  const CpuFeatures& cpu = cpu_features();
  const KernelTable* kernels = cpu_kernels(options.cpu_level.c_str());
  if (kernels == nullptr) {
    throw_error(ErrorKind::kConfigInvalid, "--cpu-level {}: this machine runs auto {}",
                options.cpu_level, joined(cpu.levels));
  }
  const int threads = options.threads > 0 ? options.threads : usable_cores();
  row("tensormill", TENSORMILL_VERSION);
  row("CPU", cpu.model.empty() ? "unknown" : cpu.model);
  row("features", joined(cpu.features));
  row("kernel levels", joined(cpu.levels));
  row("kernels used", kernels->name);
  row("usable cores", std::to_string(usable_cores()));
  row("threads used", std::to_string(threads));
  row("memory",
      fmt::format("{:.1f} GiB, {:.1f} available", memory("MemTotal"), memory("MemAvailable")));
  row("memory nodes", std::to_string(std::max<size_t>(1, memory_nodes().size())));
  row("huge pages", huge_pages());
  print_gpus();
  print_libraries();
  return 0;
}

}  // namespace

CommandRunner declare_doctor(CLI::App& app) {
  auto options = std::make_shared<CommonOptions>();
  options->declare(app);
  return [options] { return doctor(*options); };
}

}  // namespace tensormill
