#pragma once

#include "models/workspace.h"

namespace tensormill {

// Where a part of a step runs.
struct StepContext {
  const KernelTable& kernels;
  Stream stream;
  const Workspace::Arrays& arrays;
  Live rows;
};

}  // namespace tensormill
