# The CUDA table: one .cu file an entry, the device object, and what they share.
if(NOT TENSORMILL_WITH_CUDA)
  return()
endif()
file(GLOB tensormill_cuda_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.cu
  ${CMAKE_CURRENT_LIST_DIR}/*.cc)
target_sources(tm_kernels PRIVATE ${tensormill_cuda_sources})
get_target_property(sources tm_kernels SOURCES)
list(FILTER sources EXCLUDE REGEX "/no_cuda.cc$")
set_target_properties(tm_kernels PROPERTIES SOURCES "${sources}")
target_compile_options(tm_kernels PRIVATE
  "$<$<COMPILE_LANGUAGE:CUDA>:-O3;-lineinfo;--expt-relaxed-constexpr>")
if(TENSORMILL_WERROR)
  target_compile_options(tm_kernels PRIVATE "$<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings>")
endif()
target_link_libraries(tm_kernels PUBLIC CUDA::cudart_static CUDA::cublasLt)
