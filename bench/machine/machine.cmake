# build/<preset>/bench/machine: what the machine can do. Each loop is compiled for its own
# instructions into an object of its own and called only where the CPU has them.
add_executable(machine EXCLUDE_FROM_ALL machine/main.cc machine/memory.cc)
target_link_libraries(machine PRIVATE tm_kernels machine_loops CLI11::CLI11)
target_include_directories(machine PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
add_library(machine_loops INTERFACE)  # its objects

# Sets, not appends, as for the kernels: no sanitizers inside of the loops.
function(machine_loops name source)
  add_library(machine_${name} OBJECT machine/${source}.cc)
  target_include_directories(machine_${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/src)
  set_target_properties(machine_${name} PROPERTIES
    COMPILE_OPTIONS "-Wall;-Wextra;-Wno-uninitialized;-O2;-fno-exceptions;${ARGN}"
    COMPILE_DEFINITIONS "READS_NAME=${name}")
  target_sources(machine_loops INTERFACE $<TARGET_OBJECTS:machine_${name}>)
endfunction()

set(wide -mavx512f -mavx512bw -mavx512vl -mavx512dq -mprefer-vector-width=512)
machine_loops(reads_portable reads)
machine_loops(reads_avx2 reads -mavx2)
machine_loops(reads_avx512 reads ${wide})
machine_loops(fma_avx2 fma_avx2 -mavx2 -mfma)
machine_loops(fma_avx512 fma_avx512 ${wide})
machine_loops(bf16_avx512 bf16_avx512 ${wide} -mavx512bf16)
machine_loops(int8_avx512 int8_avx512 ${wide} -mavx512vnni)
machine_loops(amx amx -mamx-tile -mamx-bf16 -mamx-int8)
