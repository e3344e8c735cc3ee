#include "kernels/cuda/library_products.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "kernels/cuda/library_call.h"

namespace tensormill {
namespace {

constexpr int kCandidates = 8;
constexpr int kTurns = 4, kRuns = 4;
constexpr float kClearly = 0.97F;
constexpr size_t kMostPlans = 4096;  // of 1 KiB or so

// Where programs keep what they can do without; empty where the user has no such place.
std::filesystem::path cache_folder() {
  if (const char* folder = std::getenv("XDG_CACHE_HOME"); folder != nullptr && *folder == '/') {
    return folder;
  }
  if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/') {
    return std::filesystem::path(home) / ".cache";
  }
  return {};
}

std::string file_name(std::string_view gpu) {
  std::string name(gpu);
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return "cublaslt-" + name + "-" + std::to_string(cublasLtGetVersion()) + ".json";
}

Json read_or_null(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return stream ? Json::parse(stream, nullptr, false) : Json();
}

template <class Values>
bool read_numbers(const Json& from, Values& to) {
  if (!from.is_array() || from.size() != to.size()) return false;
  for (size_t i = 0; i < to.size(); ++i) {
    if (!from[i].is_number_integer()) return false;
    to[i] = from[i].get<typename Values::value_type>();
  }
  return true;
}

// Milliseconds of some runs in a row; the largest number where it doesn't run.
float time_runs(const LibraryCall& call, const cublasLtMatmulAlgo_t& algorithm,
                const CudaContext& context, std::array<cudaEvent_t, 2> events) {
  check_cuda(cudaEventRecord(events[0], context.stream), "timing a product");
  for (int run = 0; run < kRuns; ++run) {
    if (!call.run(algorithm, context)) return std::numeric_limits<float>::max();
  }
  check_cuda(cudaEventRecord(events[1], context.stream), "timing a product");
  check_cuda(cudaEventSynchronize(events[1]), "timing a product");
  float time = 0;
  check_cuda(cudaEventElapsedTime(&time, events[0], events[1]), "timing a product");
  return time;
}

// The library's first guess, unless another is clearly faster. Candidates take turns, since the
// GPU's clock changes meanwhile; the first turn only warms up.
const cublasLtMatmulAlgo_t& fastest(const LibraryCall& call,
                                    const std::vector<cublasLtMatmulAlgo_t>& candidates,
                                    const CudaContext& context) {
  std::array<cudaEvent_t, 2> events{};
  for (cudaEvent_t& event : events) check_cuda(cudaEventCreate(&event), "cudaEventCreate");
  std::vector<float> least(candidates.size(), std::numeric_limits<float>::max());
  for (int turn = 0; turn <= kTurns; ++turn) {
    for (size_t i = 0; i < candidates.size(); ++i) {
      const float time = time_runs(call, candidates[i], context, events);
      if (turn > 0) least[i] = std::min(least[i], time);
    }
  }
  for (cudaEvent_t event : events) cudaEventDestroy(event);
  least[0] *= kClearly;
  return candidates[static_cast<size_t>(std::min_element(least.begin(), least.end()) -
                                        least.begin())];
}

// Null where there is no memory to try what adds to its own output.
const cublasLtMatmulAlgo_t* measured_best(const LibraryCall& call,
                                          const std::vector<cublasLtMatmulAlgo_t>& candidates,
                                          const CudaContext& context) {
  if (call.repeatable()) return &fastest(call, candidates, context);
  LibraryProduct product = call.product();
  const size_t bytes =
      static_cast<size_t>(product.rows * product.out_stride) * dtype_size(product.out_type);
  if (cudaMalloc(&product.out, bytes) != cudaSuccess) {
    cudaGetLastError();
    return nullptr;
  }
  const std::unique_ptr<void, decltype(&cudaFree)> room(product.out, cudaFree);
  return &fastest(LibraryCall(product, call), candidates, context);
}

// Row counts that share an algorithm, by the largest of them: powers of two, from 64 on four steps
// to the next.
int32_t bucket_rows(int32_t rows) {
  const auto power = static_cast<int32_t>(std::bit_ceil(static_cast<uint32_t>(rows)));
  if (power <= 64) return power;
  const int32_t step = power / 8;
  return (rows + step - 1) / step * step;
}

bool capturing(const CudaContext& context) {
  cudaStreamCaptureStatus status{};
  check_cuda(cudaStreamIsCapturing(context.stream, &status), "cudaStreamIsCapturing");
  return status != cudaStreamCaptureStatusNone;
}

}  // namespace

LibraryProducts::LibraryProducts(std::string_view gpu) {
  const std::filesystem::path folder = cache_folder();
  if (folder.empty()) return;
  file_ = folder / "tensormill" / file_name(gpu);
  load(choices_);
}

LibraryProducts::~LibraryProducts() = default;

LibraryProducts::Key LibraryProducts::key_of(const LibraryProduct& p) {
  const DType type = library_type(p.format);
  return {static_cast<int64_t>(p.format),
          static_cast<int64_t>(p.out_type),
          p.outputs,
          p.inner,
          bucket_rows(p.rows),
          p.copies,
          static_cast<int64_t>(p.act),
          p.bias != nullptr ? 1 : 0,
          p.addend != nullptr ? 1 : 0,
          library_alignment(p.in, p.in_stride, p.in_step, type),
          library_alignment(p.out, p.out_stride, p.out_step, p.out_type),
          p.addend != nullptr ? library_alignment(p.addend, p.outputs, 0, DType::kF32) : 16};
}

bool LibraryProducts::choose(const LibraryCall& call, const Key& key, const CudaContext& context) {
  LibraryProduct largest = call.product();
  largest.rows = bucket_rows(largest.rows);
  const std::vector<cublasLtMatmulAlgo_t> candidates =
      LibraryCall(largest, call).candidates(measuring_ ? kCandidates : 1, context);
  if (candidates.empty()) return false;
  const cublasLtMatmulAlgo_t* best = nullptr;
  if (measuring_ && !capturing(context)) best = measured_best(call, candidates, context);
  choices_[key] = {best == nullptr ? candidates[0] : *best, best != nullptr};
  changed_ |= best != nullptr;
  return true;
}

// Plans hold choices that measuring may change.
void LibraryProducts::set_measuring(bool on) {
  measuring_ = on;
  plans_.clear();
}

bool LibraryProducts::make_plan(const Key& key, const CudaContext& context, Plan& plan) {
  const LibraryCall& call = *plan.call;
  auto found = choices_.find(key);
  const bool want_better =
      found != choices_.end() && !found->second.measured && measuring_ && !capturing(context);
  if (found == choices_.end() || want_better) {
    if (!choose(call, key, context)) return false;
    found = choices_.find(key);
  }
  plan.algorithm = found->second.algorithm;
  if (call.allows(plan.algorithm, context)) return true;
  // Made for another row count of the bucket, or read from a file that isn't ours.
  const std::vector<cublasLtMatmulAlgo_t> own = call.candidates(1, context);
  if (!own.empty()) plan.algorithm = own[0];
  return !own.empty();
}

bool LibraryProducts::multiply(const LibraryProduct& product, void* scratch, size_t bytes,
                               const CudaContext& context) {
  const Key key = key_of(product);
  Shape shape{product.rows,
              product.in_stride,
              product.out_stride,
              product.in_step,
              product.out_step,
              reinterpret_cast<int64_t>(scratch),
              static_cast<int64_t>(bytes)};
  std::copy(key.begin(), key.end(), shape.end() - static_cast<ptrdiff_t>(key.size()));
  auto found = plans_.find(shape);
  if (found == plans_.end()) {
    Plan plan{std::make_unique<LibraryCall>(product, scratch, bytes), {}};
    if (!make_plan(key, context, plan)) return false;
    if (plans_.size() >= kMostPlans) plans_.clear();
    found = plans_.emplace(shape, std::move(plan)).first;
  }
  found->second.call->take_operands(product);
  return found->second.call->run(found->second.algorithm, context);
}

void LibraryProducts::load(std::map<Key, Choice>& choices) const {
  const Json json = read_or_null(file_);
  if (!json.is_object() || !json.contains("products") || !json["products"].is_array()) return;
  for (const Json& entry : json["products"]) {
    if (!entry.is_object() || !entry.contains("shape") || !entry.contains("algorithm")) continue;
    Key key{};
    std::array<uint64_t, sizeof(cublasLtMatmulAlgo_t) / sizeof(uint64_t)> data{};
    if (!read_numbers(entry["shape"], key) || !read_numbers(entry["algorithm"], data)) continue;
    choices.insert({key, {std::bit_cast<cublasLtMatmulAlgo_t>(data), true}});
  }
}

void LibraryProducts::save() {
  if (!changed_ || file_.empty()) return;
  changed_ = false;
  std::map<Key, Choice> all = choices_;
  load(all);  // what another process measured meanwhile
  Json products = Json::array();
  for (const auto& [key, choice] : all) {
    if (!choice.measured) continue;
    const auto data =
        std::bit_cast<std::array<uint64_t, sizeof(cublasLtMatmulAlgo_t) / sizeof(uint64_t)>>(
            choice.algorithm);
    products.push_back({{"shape", key}, {"algorithm", data}});
  }
  std::error_code code;
  std::filesystem::create_directories(file_.parent_path(), code);
  const std::filesystem::path part = file_.string() + "." + std::to_string(getpid());
  std::ofstream stream(part, std::ios::binary);
  stream << Json{{"products", products}}.dump() << '\n';
  stream.close();
  if (stream) std::filesystem::rename(part, file_, code);
  if (!stream || code) std::filesystem::remove(part, code);
}

}  // namespace tensormill
