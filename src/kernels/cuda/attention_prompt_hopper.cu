// Prompt attention on Hopper: its tensor maps and the choice of a shape.

#include <cuda.h>

#include <algorithm>

#include "kernels/cuda/device/prompt_hopper.cuh"
#include "kernels/cuda/prompt.h"

namespace tensormill {
namespace {

using EncodeTensorMap = decltype(&cuTensorMapEncodeTiled);

// From the driver, which the program isn't linked with. Null where it has none.
EncodeTensorMap tensor_map_encoder() {
  static const EncodeTensorMap encoder = [] {
    void* function = nullptr;
    cudaDriverEntryPointQueryResult found{};
    const cudaError_t status = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function,
                                                                12000, cudaEnableDefault, &found);
    const bool usable = status == cudaSuccess && found == cudaDriverEntryPointSuccess;
    return usable ? reinterpret_cast<EncodeTensorMap>(function) : nullptr;
  }();
  return encoder;
}

// A map of boxes of 64 elements x `rows` entries of dimension `rows_at`; strides in elements.
TensorMap tensor_map(void* data, DType type, cuuint32_t rank, const cuuint64_t* sizes,
                     const int64_t* strides, cuuint32_t rows_at, cuuint32_t rows) {
  cuuint64_t bytes[4];
  cuuint32_t box[5] = {kColumn, 1, 1, 1, 1}, steps[5] = {1, 1, 1, 1, 1};
  box[rows_at] = rows;
  for (cuuint32_t i = 0; i + 1 < rank; ++i) bytes[i] = static_cast<cuuint64_t>(strides[i]) * 2;
  CUtensorMap map;
  const CUresult status = tensor_map_encoder()(
      &map,
      type == DType::kBF16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_FLOAT16,
      rank, data, sizes, bytes, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
      CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
      CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  check_cuda(status == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue,
             "cuTensorMapEncodeTiled");
  TensorMap copy;
  static_assert(sizeof copy == sizeof map);
  std::copy_n(map.opaque, 16, copy.words);
  return copy;
}

TensorMap cache_map(const AttentionArgs& args, void* data, int32_t dim, KvStrides stride) {
  constexpr cuuint64_t kManyBlocks = 1u << 31;  // the cache's size isn't told
  const cuuint64_t sizes[] = {static_cast<cuuint64_t>(dim), kBlockTokens,
                              static_cast<cuuint64_t>(args.kv_heads), kManyBlocks};
  const int64_t strides[] = {dim, stride.head, stride.block};
  return tensor_map(data, args.kv.type, 4, sizes, strides, 1, kBlockTokens);
}

PromptMaps prompt_maps(const AttentionArgs& args) {
  const cuuint64_t sizes[] = {static_cast<cuuint64_t>(args.dim),
                              static_cast<cuuint64_t>(args.heads),
                              static_cast<cuuint64_t>(args.rows.bound)};
  const int64_t strides[] = {args.dim, args.q.stride};
  return {tensor_map(args.q.x, args.q.type, 3, sizes, strides, 2, 64),
          cache_map(args, args.kv.k, args.dim, args.kv.k_stride),
          cache_map(args, args.kv.v, args.value_dim, args.kv.v_stride)};
}

template <class T, class Shape, bool kTerms>
void launch_hopper(const AttentionArgs& args, CudaContext& context) {
  static std::atomic<uint64_t> devices{0};
  constexpr size_t kShared = sizeof(PromptShared<Shape>);
  auto* kernel = prompt_hopper<T, Shape, kTerms>;
  allow_shared_once(kernel, devices, kShared, context.device);
  const int64_t blocks = std::min<int64_t>(work_bound(args, kHopperRows), context.multiprocessors);
  launch(context, kernel, dim3(static_cast<unsigned>(blocks)), dim3(kHopperThreads), kShared,
         prompt_maps(args), args, context.counters);
}

template <class T, bool kTerms>
void attend(const AttentionArgs& args, CudaContext& context) {
  const int32_t dim = std::max(args.dim, args.value_dim);
  if (dim <= 64) {
    launch_hopper<T, HopperShape<64, 64>, kTerms>(args, context);
  } else if (dim <= 128) {
    launch_hopper<T, HopperShape<128, 128>, kTerms>(args, context);
  } else if (args.dim <= 192 && args.value_dim <= 128) {
    launch_hopper<T, HopperShape<192, 128>, kTerms>(args, context);
  } else {
    launch_hopper<T, HopperShape<256, 256>, kTerms>(args, context);
  }
}

}  // namespace

bool runs_prompt_hopper(const CudaContext& context) {
  constexpr size_t kShared = std::max({sizeof(PromptShared<HopperShape<128, 128>>),
                                       sizeof(PromptShared<HopperShape<192, 128>>),
                                       sizeof(PromptShared<HopperShape<256, 256>>)});
  return context.major == 9 && kShared <= context.max_shared && context.counter_count >= 2 &&
         tensor_map_encoder() != nullptr;
}

void cuda_attention_prompt_hopper(const AttentionArgs& args, CudaContext& context) {
  const bool terms = has_terms(args.score);
  if (args.kv.type == DType::kBF16) {
    terms ? attend<__nv_bfloat16, true>(args, context)
          : attend<__nv_bfloat16, false>(args, context);
  } else {
    terms ? attend<__half, true>(args, context) : attend<__half, false>(args, context);
  }
}

}  // namespace tensormill
