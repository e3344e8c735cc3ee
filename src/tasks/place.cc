#include "tasks/place.h"

#include <charconv>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "kernels/cpu_stream.h"

namespace tensormill {
namespace {

constexpr int kCpu = -1;

int first_gpu() {
  const std::vector<CudaInfo> gpus = cuda_devices();
  for (size_t i = 0; i < gpus.size(); ++i) {
    if (gpus[i].runs) return static_cast<int>(i);
  }
  return kCpu;
}

// The number of a GPU, or kCpu.
int parse_device(std::string_view text) {
  if (text == "cpu") return kCpu;
  if (text == "auto") return first_gpu();
  if (text == "cuda") return 0;
  constexpr std::string_view kPrefix = "cuda:";
  int index = 0;
  if (text.starts_with(kPrefix)) {
    const char *begin = text.data() + kPrefix.size(), *end = text.data() + text.size();
    const auto [at, error] = std::from_chars(begin, end, index);
    if (error == std::errc() && at == end && index >= 0) return index;
  }
  throw_error(ErrorKind::kConfigInvalid, "device {}: expected auto, cpu, cuda or cuda:N", text);
}

}  // namespace

Place open_place(const std::string& device, const std::string& cpu_level, ThreadTeam& team) {
  Place place;
  const int index = parse_device(device);
  if (index != kCpu) {
    place.gpu = open_cuda(index);
    place.kernels = &place.gpu->kernels();
    place.stream = place.gpu->stream();
    place.device = place.gpu.get();
    return place;
  }
  place.kernels = cpu_kernels(cpu_level.c_str());
  if (place.kernels == nullptr) {
    throw_error(ErrorKind::kUnsupported,
                "cpu_level {}: unknown, or this machine doesn't run it; `tensormill doctor` lists "
                "the levels",
                cpu_level);
  }
  place.stream = cpu_stream(&team);
  place.device = &host_device();
  return place;
}

}  // namespace tensormill
