#pragma once

#include <string>
#include <vector>

namespace tensormill {

// What this machine's CPU and operating system can run.
struct CpuFeatures {
  std::string model;                  // "AMD EPYC ...", empty where unknown
  std::vector<std::string> features;  // "avx2", "fma", ..., those that kernels ask for
  std::vector<std::string> levels;    // of cpu_kernels(), best last

  bool runs(const std::string& level) const;
};

// Asked once, then kept.
const CpuFeatures& cpu_features();

}  // namespace tensormill
