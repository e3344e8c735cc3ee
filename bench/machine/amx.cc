#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernels/cpu/amx/tile.h"
#include "machine/loops.h"

namespace tensormill {
namespace {

// Four sums, two tiles of each factor.
class Tiles {
 public:
  explicit Tiles(uint32_t pattern) {
    configure_tiles(TileConfig{});
    alignas(64) uint32_t values[256];
    for (uint32_t& value : values) value = pattern;
    load_tile<4>(values, kTileLine);
    load_tile<5>(values, kTileLine);
    load_tile<6>(values, kTileLine);
    load_tile<7>(values, kTileLine);
  }
  ~Tiles() { release_tiles(); }
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;
};

}  // namespace

double bf16_amx(int64_t rounds) {
  const Tiles tiles(0x3c133c13);
  for (int64_t round = 0; round < rounds; ++round) {
    multiply_bf16<0, 4, 6>();
    multiply_bf16<1, 4, 7>();
    multiply_bf16<2, 5, 6>();
    multiply_bf16<3, 5, 7>();
  }
  return static_cast<double>(rounds) * 4 * (2 * 16 * 16 * 32);
}

double int8_amx(int64_t rounds) {
  const Tiles tiles(0x01020703);
  for (int64_t round = 0; round < rounds; ++round) {
    multiply_int8<0, 4, 6>();
    multiply_int8<1, 4, 7>();
    multiply_int8<2, 5, 6>();
    multiply_int8<3, 5, 7>();
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
