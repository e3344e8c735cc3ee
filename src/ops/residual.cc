#include "ops/residual.h"

#include "ops/check.h"

namespace tensormill {

void residual(const KernelTable& kernels, const ResidualArgs& args, Stream stream) {
  require_residual(args, "residual");
  kernels.residual(args, stream);
}

}  // namespace tensormill
