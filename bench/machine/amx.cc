#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "machine/loops.h"

namespace tensormill {
namespace {

// Rows of 64 bytes in every tile: four sums, two tiles of each factor.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

class Tiles {
 public:
  explicit Tiles(uint32_t pattern) {
    const TileConfig config;
    _tile_loadconfig(&config);
    alignas(64) uint32_t values[256];
    for (uint32_t& value : values) value = pattern;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_loadd(4, values, 64);
    _tile_loadd(5, values, 64);
    _tile_loadd(6, values, 64);
    _tile_loadd(7, values, 64);
  }
  ~Tiles() { _tile_release(); }
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;
};

}  // namespace

double bf16_amx(int64_t rounds) {
  const Tiles tiles(0x3c133c13);
  for (int64_t round = 0; round < rounds; ++round) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  return static_cast<double>(rounds) * 4 * (2 * 16 * 16 * 32);
}

double int8_amx(int64_t rounds) {
  const Tiles tiles(0x01020703);
  for (int64_t round = 0; round < rounds; ++round) {
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 7);
    _tile_dpbusd(2, 5, 6);
    _tile_dpbusd(3, 5, 7);
  }
  return static_cast<double>(rounds) * 4 * (2 * 16 * 16 * 64);
}

AmxProducts allow_amx() {
  constexpr uint32_t kOsxsave = 1u << 27, kBf16 = 1u << 22, kTile = 1u << 24, kInt8 = 1u << 25;
  constexpr uint64_t kTileState = uint64_t{3} << 17;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // of arch_prctl
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx & kOsxsave) == 0) return {};
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0 || (edx & kTile) == 0) return {};
  uint32_t low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  if (((uint64_t{high} << 32 | low) & kTileState) != kTileState) return {};
  if (syscall(SYS_arch_prctl, kRequestPermission, kTileData) != 0) return {};
  return {(edx & kBf16) != 0, (edx & kInt8) != 0};
}

}  // namespace tensormill
