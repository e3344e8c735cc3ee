#include "kernels/cuda/library_call.h"

#include <algorithm>

namespace tensormill {
namespace {

cudaDataType_t data_type(DType type) {
  if (type == DType::kF32) return CUDA_R_32F;
  return type == DType::kF16 ? CUDA_R_16F : CUDA_R_16BF;
}

cublasLtEpilogue_t epilogue_of(const LibraryProduct& product) {
  const bool bias = product.bias != nullptr;
  if (product.act == Activation::kRelu) {
    return bias ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_RELU;
  }
  if (product.act == Activation::kGeluTanh) {
    return bias ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
  }
  return bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
}

template <class T>
void set(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  check_cublas(cublasLtMatmulDescSetAttribute(desc, attribute, &value, sizeof value),
               "cublasLtMatmulDescSetAttribute");
}

template <class T>
void set(cublasLtMatmulPreference_t desc, cublasLtMatmulPreferenceAttributes_t attribute,
         const T& value) {
  check_cublas(cublasLtMatmulPreferenceSetAttribute(desc, attribute, &value, sizeof value),
               "cublasLtMatmulPreferenceSetAttribute");
}

cublasLtMatrixLayout_t layout(DType type, int64_t rows, int64_t columns, int64_t stride,
                              int32_t copies, int64_t step) {
  cublasLtMatrixLayout_t made = nullptr;
  check_cublas(cublasLtMatrixLayoutCreate(&made, data_type(type), static_cast<uint64_t>(rows),
                                          static_cast<uint64_t>(columns), std::max(stride, rows)),
               "cublasLtMatrixLayoutCreate");
  if (copies > 1) {
    cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &copies,
                                     sizeof copies);
    cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &step,
                                     sizeof step);
  }
  return made;
}

}  // namespace

int64_t library_alignment(const void* pointer, int64_t stride, int64_t step, DType type) {
  const auto size = static_cast<int64_t>(dtype_size(type));
  const auto bits =
      static_cast<int64_t>(reinterpret_cast<uintptr_t>(pointer)) | stride * size | step * size | 16;
  return bits & -bits;
}

LibraryCall::LibraryCall(const LibraryProduct& product, void* scratch, size_t bytes)
    : product_(product), scratch_(scratch), bytes_(bytes) {
  check_cublas(cublasLtMatmulDescCreate(&product_desc_, CUBLAS_COMPUTE_32F, CUDA_R_32F),
               "cublasLtMatmulDescCreate");
  set(product_desc_, CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
  set(product_desc_, CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue_of(product));
  if (product.bias != nullptr) {
    set(product_desc_, CUBLASLT_MATMUL_DESC_BIAS_POINTER, product.bias);
  }
  const DType type = library_type(product.format);
  const int64_t row = packed_row(product.format, product.inner);
  weight_ =
      layout(type, product.inner, product.outputs, row, product.copies, row * product.outputs);
  in_ =
      layout(type, product.inner, product.rows, product.in_stride, product.copies, product.in_step);
  out_ = layout(product.out_type, product.outputs, product.rows, product.out_stride, product.copies,
                product.out_step);
  addend_ = product.addend == nullptr
                ? layout(product.out_type, product.outputs, product.rows, product.out_stride,
                         product.copies, product.out_step)
                : layout(DType::kF32, product.outputs, product.rows, product.outputs, 1, 0);
}

LibraryCall::~LibraryCall() {
  for (cublasLtMatrixLayout_t made : {weight_, in_, addend_, out_}) {
    cublasLtMatrixLayoutDestroy(made);
  }
  cublasLtMatmulDescDestroy(product_desc_);
}

void LibraryCall::take_operands(const LibraryProduct& product) {
  if (product.bias != product_.bias) {
    set(product_desc_, CUBLASLT_MATMUL_DESC_BIAS_POINTER, product.bias);
  }
  product_ = product;
}

std::vector<cublasLtMatmulAlgo_t> LibraryCall::candidates(int most,
                                                          const CudaContext& context) const {
  const LibraryProduct& p = product_;
  const DType type = library_type(p.format);
  cublasLtMatmulPreference_t wish = nullptr;
  check_cublas(cublasLtMatmulPreferenceCreate(&wish), "cublasLtMatmulPreferenceCreate");
  set(wish, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, bytes_);
  // Parts of a split sum stay in f32 and are added in a fixed order.
  set(wish, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  const int64_t row = packed_row(p.format, p.inner);
  const auto align = [&](cublasLtMatmulPreferenceAttributes_t attribute, int64_t bytes) {
    set(wish, attribute, static_cast<uint32_t>(bytes));
  };
  const int64_t out = library_alignment(p.out, p.out_stride, p.out_step, p.out_type);
  align(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, library_alignment(p.weight, row, 0, type));
  align(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        library_alignment(p.in, p.in_stride, p.in_step, type));
  align(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
        p.addend == nullptr ? out : library_alignment(p.addend, p.outputs, 0, DType::kF32));
  align(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, out);
  std::vector<cublasLtMatmulHeuristicResult_t> results(static_cast<size_t>(most));
  int count = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(context.library, product_desc_, weight_, in_, addend_, out_,
                                     wish, most, results.data(), &count);
  cublasLtMatmulPreferenceDestroy(wish);
  std::vector<cublasLtMatmulAlgo_t> found;
  if (status != CUBLAS_STATUS_SUCCESS) return found;
  for (int i = 0; i < count; ++i) {
    const cublasLtMatmulHeuristicResult_t& result = results[static_cast<size_t>(i)];
    if (result.state == CUBLAS_STATUS_SUCCESS) found.push_back(result.algo);
  }
  return found;
}

bool LibraryCall::allows(const cublasLtMatmulAlgo_t& algorithm, const CudaContext& context) const {
  cublasLtMatmulHeuristicResult_t result{};
  return cublasLtMatmulAlgoCheck(context.library, product_desc_, weight_, in_, addend_, out_,
                                 &algorithm, &result) == CUBLAS_STATUS_SUCCESS &&
         result.workspaceSize <= bytes_;
}

bool LibraryCall::run(const cublasLtMatmulAlgo_t& algorithm, const CudaContext& context) const {
  const float beta = product_.addend == nullptr ? 0.0F : 1.0F;
  const void* c = product_.addend == nullptr ? product_.out : product_.addend;
  return cublasLtMatmul(context.library, product_desc_, &product_.alpha, product_.weight, weight_,
                        product_.in, in_, &beta, c, addend_, product_.out, out_, &algorithm,
                        scratch_, bytes_, context.stream) == CUBLAS_STATUS_SUCCESS;
}

}  // namespace tensormill
