#pragma once

// The functions behind the CUDA table's entries, one file each.

#include "kernels/cuda/context.h"

namespace tensormill {

void cuda_embed(const EmbedArgs& args, CudaContext& context);
void cuda_residual(const ResidualArgs& args, CudaContext& context);
void cuda_rope(const RopeArgs& args, CudaContext& context);
void cuda_to_cache(const ToCacheArgs& args, CudaContext& context);
// to_cache_pieces.cu: bf16 or f16 alone, heads in pieces of 16 bytes, half-split rope or none.
bool runs_pieces(const ToCacheArgs& args);
void cuda_to_cache_pieces(const ToCacheArgs& args, CudaContext& context);
void cuda_pack(const PackArgs& args, CudaContext& context);
void cuda_route(const RouteArgs& args, CudaContext& context);
void cuda_experts(const ExpertsArgs& args, CudaContext& context);
void cuda_sample(const SampleArgs& args, CudaContext& context);
size_t cuda_sample_scratch(int32_t rows, int32_t vocabulary);

// copy.cu: from staging memory that stays as it is, up to 64 KiB in whole pieces of 16 bytes.
// False: it is left to a copy engine.
bool cuda_copy_from_host(void* to, const void* from, size_t bytes, const CudaContext& context);

// Products. cuda_linear() chooses by live.bound and the weight's shape among the four below.
void cuda_linear(const LinearArgs& args, CudaContext& context);
// linear_few.cu: 1 to kFewRows rows, bf16 and f16, weights streamed once at full bandwidth.
inline constexpr int32_t kFewRows = 16;
bool runs_few(const LinearArgs& args, const CudaContext& context);
void cuda_linear_few(const LinearArgs& args, CudaContext& context);
// linear_some.cu: up to kSomeRows rows on tensor cores, the inner dimension split over blocks.
inline constexpr int32_t kSomeRows = 128;
bool runs_some(const LinearArgs& args, const CudaContext& context);
void cuda_linear_some(const LinearArgs& args, CudaContext& context);
// linear_wave.cu: up to kSomeRows rows and small weights on Hopper.
bool runs_wave(const LinearArgs& args, const CudaContext& context);
void cuda_linear_wave(const LinearArgs& args, CudaContext& context);
// linear_library.cu: any rows and formats, through cuBLASLt.
void cuda_linear_library(const LinearArgs& args, CudaContext& context);

// Attention. cuda_attention() gives sequences with one query row to decode, the others to prompt;
// where those don't run the arguments, all to plain.
void cuda_attention(const AttentionArgs& args, CudaContext& context);
size_t cuda_attention_scratch(int32_t rows, int32_t heads, int32_t value_dim, int32_t max_keys);
// attention_plain.cu: any head dim up to kMaxHeadDim, any type; the rows of sequences that have one
// query row, those of the others, or all.
enum class QueryRows : uint8_t { kAll, kOne, kSeveral };
void cuda_attention_plain(const AttentionArgs& args, QueryRows taken, CudaContext& context);
// attention_decode.cu: sequences of one query row; leaves the others' rows alone. With args.store,
// which decode_stores() is asked about, every sequence has one.
bool runs_decode(const AttentionArgs& args, const CudaContext& context);
bool decode_stores(const ToCacheArgs& store);
void cuda_attention_decode(const AttentionArgs& args, CudaContext& context);
size_t decode_scratch(int32_t rows, int32_t heads, int32_t value_dim, int32_t max_keys);
// attention_prompt.cu: sequences of several query rows, on tensor cores; leaves the others alone.
bool runs_prompt(const AttentionArgs& args, const CudaContext& context);
void cuda_attention_prompt(const AttentionArgs& args, CudaContext& context);

}  // namespace tensormill
