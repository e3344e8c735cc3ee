# Each kernel file is compiled once for each instruction-set level into objects that share nothing:
# always -O2, whatever the build type, without sanitizers (their hooks are weak symbols) and without
# contracting a * b + c where the source doesn't say fma. tests/kernels/nm_test.sh looks for weak
# symbols in the objects.
file(GLOB tensormill_cpu_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.cc)

function(tensormill_cpu_level level)
  set(target tm_kernels_${level})
  add_library(${target} OBJECT ${tensormill_cpu_sources})
  target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  set(options -Wall -Wextra -Wshadow)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC 12 warns of the undefined vectors in its own intrinsics.
    list(APPEND options -Wno-uninitialized -Wno-maybe-uninitialized)
  endif()
  if(TENSORMILL_WERROR)
    list(APPEND options -Werror)
  endif()
  # Sets, not appends: drops the sanitizers' options of the directory.
  set_target_properties(${target} PROPERTIES
    COMPILE_OPTIONS "${options};-O2;-fno-math-errno;-ffp-contract=off;-fno-exceptions;${ARGN}"
    COMPILE_DEFINITIONS "TENSORMILL_LEVEL=${level}")
  target_sources(tm_kernels PRIVATE $<TARGET_OBJECTS:${target}>)
endfunction()

tensormill_cpu_level(portable)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(avx2 -mavx2 -mfma -mf16c)
  set(avx512 ${avx2} -mavx512f -mavx512bw -mavx512vl -mavx512dq -mprefer-vector-width=512)
  tensormill_cpu_level(avx2 ${avx2})
  tensormill_cpu_level(avx2_vnni ${avx2} -mavxvnni)
  tensormill_cpu_level(avx512 ${avx512})
  tensormill_cpu_level(avx512_vnni ${avx512} -mavx512vnni)
  set(avx512_bf16 ${avx512} -mavx512vnni -mavx512bf16)
  tensormill_cpu_level(avx512_bf16 ${avx512_bf16})
  tensormill_cpu_level(avx512_amx ${avx512_bf16} -mamx-tile -mamx-bf16 -mamx-int8)
  file(GLOB tensormill_amx_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/amx/*.cc)
  target_sources(tm_kernels_avx512_amx PRIVATE ${tensormill_amx_sources})
  target_compile_definitions(tm_kernels PRIVATE TENSORMILL_X86_LEVELS)
endif()
