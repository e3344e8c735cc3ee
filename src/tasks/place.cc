#include "tasks/place.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "kernels/cpu_stream.h"

namespace tensormill {
namespace {

constexpr int kCpu = -1;

int first_gpu() {
  const auto count = static_cast<int>(cuda_devices().size());
  for (int i = 0; i < count; ++i) {
    if (cuda_state(i).runs) return i;
    spdlog::warn("cuda:{} is not used: this program has no kernels for it", i);
  }
  return kCpu;
}

// More GPUs named than there are is a mistake that would show late.
void check_visible() {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  if (visible == nullptr) return;
  const std::string_view text = visible;
  const auto named = std::count(text.begin(), text.end(), ',') + (text.empty() ? 0 : 1);
  const auto found = static_cast<int64_t>(cuda_devices().size());
  if (text.starts_with('-') || named <= found) return;
  throw_error(ErrorKind::kConfigInvalid,
              "CUDA_VISIBLE_DEVICES={}: names {} GPUs, this process finds {}", text, named, found);
}

}  // namespace

int gpu_of(const std::string& device) {
  const std::string_view text = device;
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

std::optional<int64_t> free_on_gpu(int gpu) {
  if (gpu < 0 || static_cast<size_t>(gpu) >= cuda_devices().size()) return std::nullopt;
  return cuda_state(gpu).available;
}

Place open_place(const std::string& device, const std::string& cpu_level, ThreadTeam& team) {
  Place place;
  const int index = gpu_of(device);
  if (index != kCpu) {
    check_visible();
    place.gpu = open_cuda(index);
    place.index = index;
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
