#include "kernels/cpu_features.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#ifdef TENSORMILL_X86_LEVELS
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace tensormill {
namespace {

#ifdef TENSORMILL_X86_LEVELS

struct Leaf {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Leaf cpuid(uint32_t leaf, uint32_t sub = 0) {
  Leaf r;
  __get_cpuid_count(leaf, sub, &r.eax, &r.ebx, &r.ecx, &r.edx);
  return r;
}

bool bit(uint32_t word, int at) {
  return (word >> at & 1u) != 0;
}

// Register state that the operating system saves: XCR0.
uint64_t saved_state() {
  if (!bit(cpuid(1).ecx, 27)) return 0;
  uint32_t low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

// Linux gives a process the registers of AMX when it asks, once for all its threads.
bool tiles_allowed(uint64_t saved) {
  constexpr uint64_t kTileState = uint64_t{3} << 17;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // of arch_prctl
  return (saved & kTileState) == kTileState &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

std::string model_name() {
  char name[49] = {};
  for (uint32_t i = 0; i < 3; ++i) {
    const Leaf part = cpuid(0x80000002u + i);
    std::memcpy(name + 16 * i, &part, sizeof part);
  }
  const std::string text = name;
  const size_t begin = text.find_first_not_of(' '), end = text.find_last_not_of(' ');
  return begin == std::string::npos ? "" : text.substr(begin, end - begin + 1);
}

CpuFeatures detect() {
  constexpr uint64_t kAvxState = 0x6, kAvx512State = 0xe6;
  const uint64_t saved = saved_state();
  const bool avx = (saved & kAvxState) == kAvxState;
  const bool wide = (saved & kAvx512State) == kAvx512State;
  const Leaf one = cpuid(1), seven = cpuid(7), seven_one = cpuid(7, 1);
  const bool tiles = bit(seven.edx, 24) && tiles_allowed(saved);
  const struct {
    const char* name;
    bool has;
  } all[] = {
      {"avx2", avx && bit(seven.ebx, 5)},
      {"fma", avx && bit(one.ecx, 12)},
      {"f16c", avx && bit(one.ecx, 29)},
      {"avx_vnni", avx && bit(seven_one.eax, 4)},
      {"avx512f", wide && bit(seven.ebx, 16)},
      {"avx512dq", wide && bit(seven.ebx, 17)},
      {"avx512bw", wide && bit(seven.ebx, 30)},
      {"avx512vl", wide && bit(seven.ebx, 31)},
      {"avx512_vnni", wide && bit(seven.ecx, 11)},
      {"avx512_bf16", wide && bit(seven_one.eax, 5)},
      {"amx_tile", tiles},
      {"amx_bf16", tiles && bit(seven.edx, 22)},
      {"amx_int8", tiles && bit(seven.edx, 25)},
  };
  CpuFeatures found;
  found.model = model_name();
  for (const auto& feature : all) {
    if (feature.has) found.features.emplace_back(feature.name);
  }
  const auto has = [&](std::initializer_list<const char*> names) {
    return std::all_of(names.begin(), names.end(), [&](const char* name) {
      return std::find(found.features.begin(), found.features.end(), name) != found.features.end();
    });
  };
  found.levels = {"portable"};
  const bool avx2 = has({"avx2", "fma", "f16c"});
  if (avx2) found.levels.emplace_back("avx2");
  if (avx2 && has({"avx_vnni"})) found.levels.emplace_back("avx2_vnni");
  if (avx2 && has({"avx512f", "avx512dq", "avx512bw", "avx512vl"})) {
    found.levels.emplace_back("avx512");
    const bool vnni = has({"avx512_vnni"}), bf16 = vnni && has({"avx512_bf16"});
    if (vnni) found.levels.emplace_back("avx512_vnni");
    if (bf16) found.levels.emplace_back("avx512_bf16");
    if (bf16 && has({"amx_tile", "amx_bf16", "amx_int8"})) found.levels.emplace_back("avx512_amx");
  }
  return found;
}

#else

CpuFeatures detect() {
  return {"", {}, {"portable"}};
}

#endif

}  // namespace

bool CpuFeatures::runs(const std::string& level) const {
  return std::find(levels.begin(), levels.end(), level) != levels.end();
}

const CpuFeatures& cpu_features() {
  static const CpuFeatures kFound = detect();
  return kFound;
}

}  // namespace tensormill
