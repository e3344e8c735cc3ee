// Attention of sequences with several query rows: which arguments run, and the kernels of every
// GPU since sm_80.

#include <algorithm>

#include "kernels/cuda/device/prompt_mma.cuh"
#include "kernels/cuda/entries.h"
#include "kernels/cuda/prompt.h"

namespace tensormill {
namespace {

// Whether rows of 16-byte pieces begin at such a piece.
bool aligned(const void* x, int64_t a, int64_t b) {
  return reinterpret_cast<uintptr_t>(x) % 16 == 0 && a % 8 == 0 && b % 8 == 0;
}

bool half_type(DType type) {
  return type == DType::kBF16 || type == DType::kF16;
}

template <class T, class Shape, bool kTerms>
void launch_mma(const AttentionArgs& args, CudaContext& context) {
  static std::atomic<uint64_t> devices{0};
  constexpr size_t kShared = sizeof(MmaShared<Shape>);
  auto* kernel = prompt_mma<T, Shape, kTerms>;
  allow_shared_once(kernel, devices, kShared, context.device);
  launch(context, kernel, dim3(static_cast<unsigned>(work_bound(args, kMmaRows))),
         dim3(kMmaThreads), kShared, args);
}

template <class T, bool kTerms>
void attend(const AttentionArgs& args, CudaContext& context) {
  const int32_t dim = std::max(args.dim, args.value_dim);
  if (dim <= 64) {
    launch_mma<T, MmaShape<64, 64>, kTerms>(args, context);
  } else if (dim <= 128) {
    launch_mma<T, MmaShape<128, 128>, kTerms>(args, context);
  } else if (args.dim <= 192 && args.value_dim <= 128) {
    launch_mma<T, MmaShape<192, 128>, kTerms>(args, context);
  } else {
    launch_mma<T, MmaShape<256, 256>, kTerms>(args, context);
  }
}

}  // namespace

bool runs_prompt(const AttentionArgs& args, const CudaContext& context) {
  const KvView& kv = args.kv;
  return context.major >= 8 && half_type(kv.type) && args.q.type == kv.type &&
         half_type(args.out.type) && std::max(args.dim, args.value_dim) <= kLargestPromptDim &&
         sizeof(MmaShared<MmaShape<256, 256>>) <= context.max_shared &&
         args.rows.bound < (1 << 24) && aligned(args.q.x, args.q.stride, args.dim) &&
         aligned(args.out.x, args.out.stride, args.value_dim) &&
         aligned(kv.k, kv.k_stride.block, kv.k_stride.head) &&
         aligned(kv.v, kv.v_stride.block, kv.v_stride.head);
}

void cuda_attention_prompt(const AttentionArgs& args, CudaContext& context) {
  if (runs_prompt_hopper(context)) return cuda_attention_prompt_hopper(args, context);
  const bool terms = has_terms(args.score);
  if (args.kv.type == DType::kBF16) {
    terms ? attend<__nv_bfloat16, true>(args, context)
          : attend<__nv_bfloat16, false>(args, context);
  } else {
    terms ? attend<__half, true>(args, context) : attend<__half, false>(args, context);
  }
}

}  // namespace tensormill
