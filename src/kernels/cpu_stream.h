#pragma once

#include "base/thread_team.h"
#include "kernels/table.h"

namespace tensormill {

// The CPU's stream is a team of threads; a null stream runs everything on the calling thread.
// CPU entries of the table return when their work is done.
inline Stream cpu_stream(ThreadTeam* team) {
  return reinterpret_cast<Stream>(team);
}
inline ThreadTeam* team_of(Stream stream) {
  return reinterpret_cast<ThreadTeam*>(stream);
}

}  // namespace tensormill
