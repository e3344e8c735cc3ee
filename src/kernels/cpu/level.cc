#include "kernels/cpu/level.h"

namespace tensormill {

const CpuLevel& LEVEL(cpu_level)() {
  static constexpr CpuLevel kLevel{
      LEVEL(embed),
      LEVEL(residual),
      LEVEL(linear),
      LEVEL(quantize),
      LEVEL(to_cache),
      LEVEL(attention),
      LEVEL(attention_merge),
      LEVEL(pack),
      {LEVEL(peak), LEVEL(sum_exp), LEVEL(weigh), LEVEL(mass), LEVEL(maxima), LEVEL(find)}};
  return kLevel;
}

}  // namespace tensormill
