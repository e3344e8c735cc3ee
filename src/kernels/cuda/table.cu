#include "kernels/cuda/table.h"

#include "kernels/cuda/entries.h"
#include "kernels/cuda/library_products.h"

namespace tensormill {
namespace {

__global__ void probe() {}

// An entry finds its context behind the stream.
template <auto function, class Args>
void entry(const Args& args, Stream stream) {
  function(args, cuda_context(stream));
}

void norm_linear(const ResidualArgs& norm, const LinearArgs* products, int32_t n, Stream stream) {
  CudaContext& context = cuda_context(stream);
  cuda_residual(norm, context);
  for (int32_t i = 0; i < n; ++i) cuda_linear(products[i], context);
}

void measure(bool on, Stream stream) {
  LibraryProducts& products = *cuda_context(stream).products;
  products.set_measuring(on);
  if (!on) products.save();
}

bool runs(const AttentionArgs& args) {
  return args.dim > 0 && args.dim <= kMaxHeadDim && args.value_dim > 0 &&
         args.value_dim <= kMaxHeadDim && args.kv_heads > 0 && args.heads % args.kv_heads == 0 &&
         args.kv.type != DType::kI8;
}

bool stores(WeightFormat format) {
  return format == WeightFormat::kF32 || format == WeightFormat::kF16 ||
         format == WeightFormat::kBF16;
}

ActivationTypes types(WeightFormat format) {
  switch (format) {
    case WeightFormat::kF16:
      return {DType::kF16, DType::kF16, DType::kF16};
    case WeightFormat::kBF16:
      return {DType::kBF16, DType::kBF16, DType::kBF16};
    default:
      return {DType::kF32, DType::kF32, DType::kF32};
  }
}

size_t packed_bytes(WeightFormat format, int64_t outputs, int64_t inner) {
  return static_cast<size_t>(outputs * packed_row(format, inner)) *
         (format == WeightFormat::kF32 ? 4 : 2);
}

KernelTable make_table() {
  KernelTable table{};
  table.name = "cuda";
  table.keys_by_dim = false;
  table.embed = entry<cuda_embed, EmbedArgs>;
  table.residual = entry<cuda_residual, ResidualArgs>;
  table.linear = entry<cuda_linear, LinearArgs>;
  table.norm_linear = norm_linear;
  table.rope = entry<cuda_rope, RopeArgs>;
  table.to_cache = entry<cuda_to_cache, ToCacheArgs>;
  table.attention = entry<cuda_attention, AttentionArgs>;
  table.route = entry<cuda_route, RouteArgs>;
  table.experts = entry<cuda_experts, ExpertsArgs>;
  table.sample = entry<cuda_sample, SampleArgs>;
  table.pack = entry<cuda_pack, PackArgs>;
  table.measure = measure;
  table.runs = runs;
  table.stores = stores;
  table.types = types;
  table.packed_bytes = packed_bytes;
  table.attention_scratch = cuda_attention_scratch;
  table.sample_scratch = cuda_sample_scratch;
  return table;
}

}  // namespace

const KernelTable& cuda_table() {
  static const KernelTable table = make_table();
  return table;
}

int cuda_kernel_version() {
  cudaFuncAttributes attributes{};
  if (cudaFuncGetAttributes(&attributes, probe) == cudaSuccess) return attributes.ptxVersion;
  cudaGetLastError();
  return 0;
}

}  // namespace tensormill
