# The CPU room: kernels built once per instruction set, and the library behind matrix products.
# Included after the rooms are made (it adds to tw_cpu).

# -O3 in every build type: the kernels are loops meant for the vectoriser. Under the sanitizers that takes minutes a file.
set(TW_KERNEL_FLAGS -O3)
if(TW_SANITIZE)
  set(TW_KERNEL_FLAGS -O2 -g1)
endif()
set_source_files_properties(src/cpu/kernels_generic.c PROPERTIES COMPILE_OPTIONS "${TW_KERNEL_FLAGS}")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set_source_files_properties(src/cpu/kernels_v3.c PROPERTIES COMPILE_OPTIONS "${TW_KERNEL_FLAGS};-march=x86-64-v3")
  set_source_files_properties(src/cpu/kernels_v4.c PROPERTIES COMPILE_OPTIONS
                              "${TW_KERNEL_FLAGS};-march=x86-64-v4;-mprefer-vector-width=512")
  set_source_files_properties(src/cpu/kernels_bf16.c PROPERTIES COMPILE_OPTIONS
                              "${TW_KERNEL_FLAGS};-march=x86-64-v4;-mavx512bf16;-mprefer-vector-width=512")
endif()
# the templates are no headers to CMake's scanner of some generators
file(GLOB TW_KERNEL_TEMPLATES CONFIGURE_DEPENDS src/cpu/*.inc)
set_property(SOURCE src/cpu/kernels_generic.c src/cpu/kernels_v3.c src/cpu/kernels_v4.c src/cpu/kernels_bf16.c
             APPEND PROPERTY OBJECT_DEPENDS "${TW_KERNEL_TEMPLATES}")

set_property(CACHE TW_GEMM PROPERTY STRINGS auto onednn cblas own)
set(TW_GEMM_CHOSEN own)
set(TW_GEMM_LIBRARIES)
if(TW_GEMM MATCHES "^(auto|onednn)$")
  find_path(DNNL_INCLUDE dnnl.h)
  find_library(DNNL_LIBRARY NAMES dnnl)
  if(DNNL_INCLUDE AND DNNL_LIBRARY)
    set(TW_GEMM_CHOSEN onednn)
    target_include_directories(tw_cpu PRIVATE ${DNNL_INCLUDE})
    set(TW_GEMM_LIBRARIES ${DNNL_LIBRARY} ${CMAKE_DL_LIBS})
  elseif(TW_GEMM STREQUAL "onednn")
    message(FATAL_ERROR "TW_GEMM=onednn: dnnl.h or libdnnl not found")
  endif()
elseif(TW_GEMM STREQUAL "cblas")
  find_path(CBLAS_INCLUDE cblas.h PATH_SUFFIXES openblas x86_64-linux-gnu blis)
  find_library(CBLAS_LIBRARY NAMES openblas blis cblas)
  if(NOT CBLAS_INCLUDE OR NOT CBLAS_LIBRARY)
    message(FATAL_ERROR "TW_GEMM=cblas: cblas.h or a BLAS library not found")
  endif()
  set(TW_GEMM_CHOSEN cblas)
  target_include_directories(tw_cpu PRIVATE ${CBLAS_INCLUDE})
  set(TW_GEMM_LIBRARIES ${CBLAS_LIBRARY} ${CMAKE_DL_LIBS})
elseif(NOT TW_GEMM STREQUAL "own")
  message(FATAL_ERROR "TW_GEMM=${TW_GEMM}: known are auto, onednn, cblas, own")
endif()
target_link_libraries(tw_cpu PUBLIC ${TW_GEMM_LIBRARIES})
string(TOUPPER ${TW_GEMM_CHOSEN} TW_GEMM_DEFINE)
target_compile_definitions(tw_cpu PRIVATE TW_GEMM_${TW_GEMM_DEFINE})
message(STATUS "Matrix products: ${TW_GEMM_CHOSEN}")

# Our own products are in every build and tested there (TW_GEMM=own at run time); what is left of a build without a library
# is that these files compile.
if(TW_TESTS AND NOT TW_GEMM_CHOSEN STREQUAL "own")
  add_library(tw_cpu_without_library OBJECT src/cpu/gemm.c src/cpu/conv_onednn.c)
  target_include_directories(tw_cpu_without_library PRIVATE include src)
endif()
