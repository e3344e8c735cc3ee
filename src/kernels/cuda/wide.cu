#include "kernels/cuda/wide.h"

#include <algorithm>

#include "kernels/cuda/device/expert_tile.cuh"
#include "kernels/cuda/device/wide_kernel.cuh"

namespace tensormill {
namespace {

using wide::kDepth;
using wide::kOutputs;
using wide::kRows;

using EncodeMap = decltype(&cuTensorMapEncodeTiled);

EncodeMap map_encoder() {
  static const EncodeMap encoder = [] {
    void* entry = nullptr;
    cudaDriverEntryPointQueryResult found{};
    check_cuda(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &entry, 12000,
                                                cudaEnableDefault, &found),
               "cudaGetDriverEntryPoint");
    return reinterpret_cast<EncodeMap>(entry);
  }();
  return encoder;
}

// Boxes of `box_rows` rows of 128 bytes, swizzled; what lies outside reads as zeros.
CUtensorMap map_of(const void* data, WeightFormat format, int64_t width, int64_t rows,
                   int64_t stride, int32_t box_rows) {
  CUtensorMap map{};
  const cuuint64_t sizes[2] = {static_cast<cuuint64_t>(width), static_cast<cuuint64_t>(rows)};
  const cuuint64_t strides[1] = {static_cast<cuuint64_t>(stride) * 2};
  const cuuint32_t box[2] = {kDepth, static_cast<cuuint32_t>(box_rows)};
  const cuuint32_t steps[2] = {1, 1};
  const CUtensorMapDataType type = format == WeightFormat::kF16 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16
                                                                : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
  const CUresult result =
      map_encoder()(&map, type, 2, const_cast<void*>(data), sizes, strides, box, steps,
                    CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                    CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  check_cuda(result == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue,
             "cuTensorMapEncodeTiled");
  return map;
}

// False for a curve that the kernel doesn't know. The form of GELU that has a tanh is smooth too:
// (1 + tanh(y)) / 2 is 1 / (1 + exp(-2 y)).
bool set_curve(Activation act, wide::Work& work) {
  work.slope = 1;
  work.cube = 0;
  work.curve = wide::Curve::kSmooth;
  switch (act) {
    case Activation::kNone:
      work.curve = wide::Curve::kNone;
      return true;
    case Activation::kRelu:
      work.curve = wide::Curve::kRelu;
      return true;
    case Activation::kGelu:
      work.curve = wide::Curve::kGelu;
      return true;
    case Activation::kGeluTanh:
      work.slope = 1.5957691F;
      work.cube = 0.071354816F;
      return true;
    case Activation::kQuickGelu:
      work.slope = 1.702F;
      return true;
    case Activation::kSilu:
      return true;
    case Activation::kTanh:
      return false;
  }
  return false;
}

template <class T, int kCluster>
void launch_wide(const WideProduct& p, const wide::Work& work, const CudaContext& context) {
  const auto kernel = wide::wide_kernel<T, kCluster>;
  allow_shared(kernel, wide::kShared);
  const int64_t packed = packed_row(p.weight.format, p.weight.inner);
  const wide::Maps maps{
      map_of(p.in.x, p.weight.format, p.weight.inner, p.live.bound, p.in.stride, kRows / 2),
      map_of(p.weight.data, p.weight.format, packed, int64_t{p.experts} * p.weight.outputs, packed,
             kOutputs / kCluster)};
  const int32_t tiles = most_tiles(p.live.bound, p.experts, kCluster * kRows) *
                        ((p.weight.outputs + kOutputs - 1) / kOutputs);
  const int32_t clusters = std::min(kCluster * tiles, context.multiprocessors / kCluster);
  cudaLaunchConfig_t config{};
  config.gridDim = static_cast<uint32_t>(clusters * kCluster);
  config.blockDim = wide::kThreads;
  config.dynamicSmemBytes = wide::kShared;
  config.stream = context.stream;
  cudaLaunchAttribute attributes[2]{};
  attributes[0].id = cudaLaunchAttributeClusterDimension;
  attributes[0].val.clusterDim = {kCluster, 1, 1};
  attributes[1].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attributes[1].val.programmaticStreamSerializationAllowed = 1;
  config.attrs = attributes;
  config.numAttrs = context.dependent_launch ? 2 : 1;
  check_cuda(cudaLaunchKernelEx(&config, kernel, maps, work), "cudaLaunchKernelEx");
}

template <class T>
void launch_type(const WideProduct& p, const wide::Work& work, const CudaContext& context) {
  // With several experts a tile of twice the rows would often be half empty.
  if (p.experts > 1 || p.live.bound <= kRows) {
    launch_wide<T, 1>(p, work, context);
  } else {
    launch_wide<T, 2>(p, work, context);
  }
}

bool divides(const void* pointer, int64_t stride, size_t bytes, size_t size) {
  return reinterpret_cast<uintptr_t>(pointer) % bytes == 0 &&
         static_cast<size_t>(stride) * size % bytes == 0;
}

}  // namespace

bool runs_wide(const WideProduct& p, const CudaContext& context) {
  const DType type = p.weight.format == WeightFormat::kF16 ? DType::kF16 : DType::kBF16;
  const bool f32_out = p.out.type == DType::kF32;
  wide::Work work{};
  return context.major == 9 && p.weight.format != WeightFormat::kF32 && p.in.type == type &&
         (f32_out ? !p.gated : p.out.type == type) && p.weight.outputs % 8 == 0 &&
         set_curve(p.act, work) && divides(p.in.x, p.in.stride, 16, 2) &&
         divides(p.weight.data, 0, 16, 2) &&
         divides(p.out.x, p.out.stride, f32_out || p.gated ? 8 : 16, f32_out ? 4 : 2) &&
         divides(p.bias, 0, 8, 4);
}

void run_wide(const WideProduct& p, const CudaContext& context) {
  wide::Work work{};
  set_curve(p.act, work);
  work.begin = p.begin;
  work.count = p.live.count;
  work.experts = p.experts;
  work.outputs = p.weight.outputs;
  work.chunks = (p.weight.inner + kDepth - 1) / kDepth;
  work.bias = p.bias;
  work.gated = p.gated;
  work.f32_out = p.out.type == DType::kF32;
  work.out = p.out.x;
  work.out_stride = p.out.stride;
  if (p.weight.format == WeightFormat::kF16) {
    launch_type<__half>(p, work, context);
  } else {
    launch_type<__nv_bfloat16>(p, work, context);
  }
}

}  // namespace tensormill
