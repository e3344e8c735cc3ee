#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "base/error.h"
#include "kernels/cuda.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/entries.h"
#include "kernels/cuda/library_products.h"
#include "kernels/cuda/staging.h"
#include "kernels/cuda/table.h"

namespace tensormill {
namespace {

constexpr size_t kWorkspace = size_t{96} << 20;
constexpr int32_t kCounters = 1 << 16;

class CudaRecording : public Recording {
 public:
  CudaRecording(cudaGraph_t graph, cudaStream_t stream) : stream_(stream) {
    const cudaError_t status = cudaGraphInstantiate(&executable_, graph, 0);
    cudaGraphDestroy(graph);
    check_cuda(status, "cudaGraphInstantiate");
  }
  ~CudaRecording() override { cudaGraphExecDestroy(executable_); }
  void replay() override { check_cuda(cudaGraphLaunch(executable_, stream_), "cudaGraphLaunch"); }

 private:
  cudaStream_t stream_;
  cudaGraphExec_t executable_ = nullptr;
};

class Gpu : public CudaDevice {
 public:
  explicit Gpu(int index) : name_(fmt::format("cuda:{}", index)) {
    context_.device = index;
    enter();
    cudaDeviceProp properties{};
    check_cuda(cudaGetDeviceProperties(&properties, index), "cudaGetDeviceProperties");
    context_.multiprocessors = properties.multiProcessorCount;
    // Kernels of an older architecture run on a newer GPU, without what is new there.
    context_.major = std::min(properties.major, cuda_kernel_version() / 10);
    context_.max_shared = properties.sharedMemPerBlockOptin;
    context_.dependent_launch = context_.major >= 9;
    check_cuda(cudaStreamCreateWithFlags(&context_.stream, cudaStreamNonBlocking),
               "cudaStreamCreate");
    check_cublas(cublasLtCreate(&context_.library), "cublasLtCreate");
    context_.workspace = must_take(kWorkspace, "kernels' workspace");
    context_.workspace_bytes = kWorkspace;
    context_.counters =
        static_cast<int32_t*>(must_take(kCounters * sizeof(int32_t), "kernels' counters"));
    context_.counter_count = kCounters;
    for (cudaEvent_t& event : marks_) {
      check_cuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate");
    }
    products_ = std::make_unique<LibraryProducts>(properties.name);
    context_.products = products_.get();
    staging_ = std::make_unique<StagingRing>();
    context_.staging = staging_.get();
  }

  // Whatever still runs is waited for; a device that failed is past saving.
  ~Gpu() override {
    cudaSetDevice(context_.device);
    if (context_.stream != nullptr) cudaStreamSynchronize(context_.stream);
    staging_.reset();
    products_.reset();
    for (cudaEvent_t event : marks_) {
      if (event != nullptr) cudaEventDestroy(event);
    }
    cudaFree(context_.counters);
    cudaFree(context_.workspace);
    if (context_.library != nullptr) cublasLtDestroy(context_.library);
    if (context_.stream != nullptr) cudaStreamDestroy(context_.stream);
  }
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;

  const KernelTable& kernels() const override { return cuda_table(); }
  Stream stream() override {
    enter();
    return reinterpret_cast<Stream>(&context_);
  }
  const std::string& name() const override { return name_; }
  bool on_host() const override { return false; }
  int64_t total() const override { return memory().second; }
  int64_t available() const override { return memory().first; }

  void* take(size_t bytes) override {
    enter();
    void* data = nullptr;
    const cudaError_t status = cudaMalloc(&data, bytes);
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();  // it isn't sticky: forget it
      return nullptr;
    }
    check_cuda(status, "cudaMalloc");
    check_cuda(cudaMemsetAsync(data, 0, bytes, context_.stream), "cudaMemset");
    return data;
  }
  void give(void* data, size_t) noexcept override {
    cudaSetDevice(context_.device);
    cudaFree(data);
  }
  void* take_staging(size_t bytes) override {
    enter();
    void* data = nullptr;
    check_cuda(cudaMallocHost(&data, bytes), "cudaMallocHost");
    std::memset(data, 0, bytes);
    return data;
  }
  void give_staging(void* data, size_t) noexcept override { cudaFreeHost(data); }

  // CUDA has copied or staged pageable memory when the call returns.
  void upload(void* to, const void* from, size_t bytes) override {
    enter();
    if (bytes >= StagingRing::kBytes) return upload_pieces(to, from, bytes);
    check_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, context_.stream),
               "cudaMemcpy to the device");
    cudaPointerAttributes attributes{};
    check_cuda(cudaPointerGetAttributes(&attributes, from), "cudaPointerGetAttributes");
    if (attributes.type == cudaMemoryTypeHost) wait();
  }
  void upload_staged(void* to, const void* from, size_t bytes) override {
    enter();
    if (cuda_copy_from_host(to, from, bytes, context_)) return;
    check_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, context_.stream),
               "cudaMemcpy to the device");
  }
  void download(void* to, const void* from, size_t bytes) override {
    enter();
    check_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, context_.stream),
               "cudaMemcpy to the host");
  }

  void wait() override {
    enter();
    check_cuda(cudaStreamSynchronize(context_.stream), "cudaStreamSynchronize");
  }
  void mark(int which) override {
    check_cuda(cudaEventRecord(marks_[which], context_.stream), "cudaEventRecord");
  }
  void wait_for(int which) override {
    check_cuda(cudaEventSynchronize(marks_[which]), "cudaEventSynchronize");
  }

  // An error that is still there after it was read has ended this process's use of the GPU.
  bool lost() override {
    cudaGetLastError();
    const cudaError_t status = cudaStreamQuery(context_.stream);
    return status != cudaSuccess && status != cudaErrorNotReady;
  }

  std::unique_ptr<Recording> record(const std::function<void()>& enqueue) override {
    enter();
    check_cuda(cudaStreamBeginCapture(context_.stream, cudaStreamCaptureModeThreadLocal),
               "cudaStreamBeginCapture");
    cudaGraph_t graph = nullptr;
    try {
      enqueue();
    } catch (...) {
      cudaStreamEndCapture(context_.stream, &graph);
      if (graph != nullptr) cudaGraphDestroy(graph);
      cudaGetLastError();
      throw;
    }
    check_cuda(cudaStreamEndCapture(context_.stream, &graph), "cudaStreamEndCapture");
    return std::make_unique<CudaRecording>(graph, context_.stream);
  }

 private:
  // CUDA's current device belongs to a thread.
  void enter() const { check_cuda(cudaSetDevice(context_.device), "cudaSetDevice"); }

  // CUDA's own way through pinned memory has one thread.
  void upload_pieces(void* to, const void* from, size_t bytes) {
    constexpr size_t kPiece = StagingRing::kBytes;
    const auto pieces = static_cast<int64_t>((bytes + kPiece - 1) / kPiece);
    staging_->each(context_.device, pieces, [&](const StagingRing::Piece& piece, int64_t i) {
      const size_t at = static_cast<size_t>(i) * kPiece, size = std::min(kPiece, bytes - at);
      std::memcpy(piece.host, static_cast<const std::byte*>(from) + at, size);
      check_cuda(cudaMemcpyAsync(static_cast<std::byte*>(to) + at, piece.host, size,
                                 cudaMemcpyHostToDevice, context_.stream),
                 "cudaMemcpy to the device");
      check_cuda(cudaEventRecord(piece.done, context_.stream), "cudaEventRecord");
    });
  }

  void* must_take(size_t bytes, const char* what) {
    void* data = take(bytes);
    if (data == nullptr) {
      throw_error(ErrorKind::kOutOfMemory, "{}: {} bytes for {} are not to be had", name_, bytes,
                  what);
    }
    return data;
  }

  std::pair<int64_t, int64_t> memory() const {  // available, total
    enter();
    size_t available = 0, total = 0;
    check_cuda(cudaMemGetInfo(&available, &total), "cudaMemGetInfo");
    return {static_cast<int64_t>(available), static_cast<int64_t>(total)};
  }

  std::string name_;
  CudaContext context_;
  cudaEvent_t marks_[2] = {};
  std::unique_ptr<LibraryProducts> products_;
  std::unique_ptr<StagingRing> staging_;
};

std::string version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

}  // namespace

void check_cuda(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  throw_error(ErrorKind::kInternal, "CUDA: {}: {}", what, cudaGetErrorString(status));
}

void check_cublas(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw_error(ErrorKind::kInternal, "cuBLASLt: {}: {}", what, cublasLtGetStatusString(status));
}

bool built_with_cuda() {
  return true;
}

std::string cuda_versions() {
  int driver = 0, runtime = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  const std::string of_driver =
      driver == 0 ? std::string("no driver") : "driver for CUDA " + version_text(driver);
  const auto library = static_cast<int>(cublasLtGetVersion());
  return fmt::format("CUDA {}, cuBLASLt {}.{}.{}, {}", version_text(runtime), library / 10000,
                     library / 100 % 100, library % 100, of_driver);
}

std::vector<CudaInfo> cuda_devices() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    cudaGetLastError();
    return {};
  }
  std::vector<CudaInfo> all;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties{};
    if (cudaGetDeviceProperties(&properties, i) != cudaSuccess) continue;
    CudaInfo info;
    info.name = properties.name;
    info.major = properties.major;
    info.minor = properties.minor;
    info.multiprocessors = properties.multiProcessorCount;
    info.total = static_cast<int64_t>(properties.totalGlobalMem);
    all.push_back(std::move(info));
  }
  return all;
}

CudaState cuda_state(int index) {
  CudaState state;
  size_t available = 0, total = 0;
  if (cudaSetDevice(index) != cudaSuccess || cudaMemGetInfo(&available, &total) != cudaSuccess) {
    cudaGetLastError();
    return state;
  }
  state.available = static_cast<int64_t>(available);
  state.runs = cuda_kernel_version() > 0;
  return state;
}

std::unique_ptr<CudaDevice> open_cuda(int index) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) {
    cudaGetLastError();
    int driver = 0;
    cudaDriverGetVersion(&driver);
    throw_error(ErrorKind::kUnsupported, "cuda:{}: {}", index,
                driver == 0 ? "there is no NVIDIA driver here" : cudaGetErrorString(status));
  }
  if (index < 0 || index >= count) {
    throw_error(ErrorKind::kUnsupported, "cuda:{}: this process may use {} GPU{}", index, count,
                count == 1 ? "" : "s");
  }
  check_cuda(cudaSetDevice(index), "cudaSetDevice");
  if (cuda_kernel_version() == 0) {
    throw_error(ErrorKind::kUnsupported,
                "cuda:{}: this program was built without kernels for it; see "
                "CMAKE_CUDA_ARCHITECTURES in docs/gpu.md",
                index);
  }
  return std::make_unique<Gpu>(index);
}

}  // namespace tensormill
