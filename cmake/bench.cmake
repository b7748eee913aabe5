# Benchmarks: cmake -DTW_BENCH=ON, then bench_<name> of bench/<name>.c. Each prints figures beside a limit or a peer's in the same run.
file(GLOB benches CONFIGURE_DEPENDS bench/*.c)
foreach(source ${benches})
  get_filename_component(name ${source} NAME_WE)
  add_executable(bench_${name} ${source})
  target_compile_definitions(bench_${name} PRIVATE _GNU_SOURCE)
  target_link_libraries(bench_${name} PRIVATE tw_upto_plot)
  if(TW_GEMM_CHOSEN STREQUAL "onednn")
    target_compile_definitions(bench_${name} PRIVATE TW_BENCH_DNNL)
    target_include_directories(bench_${name} PRIVATE ${DNNL_INCLUDE})
  endif()
endforeach()

# One program of all cases that bench/table.py compares with PyTorch (bench/run.sh).
file(GLOB cases CONFIGURE_DEPENDS bench/cases/*.c)
add_executable(bench_cases ${cases})
target_compile_definitions(bench_cases PRIVATE _GNU_SOURCE)
target_link_libraries(bench_cases PRIVATE tw_upto_plot)
