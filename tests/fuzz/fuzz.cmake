# Fuzz targets of the file readers (clang only): cmake -DTW_FUZZ=ON -DCMAKE_C_COMPILER=clang, then run fuzz_csv etc. with a folder
# of examples. The rooms are compiled anew with coverage and sanitizers.
file(GLOB TW_FUZZED CONFIGURE_DEPENDS src/base/*.c src/graph/*.c src/io/*.c src/data/*.c
     src/eval/smiles.c src/eval/valence.c src/eval/aromatic.c)
file(GLOB fuzzers CONFIGURE_DEPENDS tests/fuzz/fuzz_*.c)
foreach(fuzzer ${fuzzers})
  string(REGEX REPLACE ".*fuzz_(.*)[.]c" "\\1" format ${fuzzer})
  add_executable(fuzz_${format} tests/fuzz/fuzz_${format}.c ${TW_FUZZED})
  target_include_directories(fuzz_${format} PRIVATE include src ${CSV_INCLUDE})
  target_compile_definitions(fuzz_${format} PRIVATE _GNU_SOURCE ${TW_PICTURE_DEFINITIONS})
  target_compile_options(fuzz_${format} PRIVATE -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all)
  target_link_options(fuzz_${format} PRIVATE -fsanitize=fuzzer,address,undefined)
  target_link_libraries(fuzz_${format} PRIVATE Threads::Threads ZLIB::ZLIB PkgConfig::YAML PkgConfig::CJSON
                        ${TW_PICTURE_LIBRARIES}
                        ${CSV_LIBRARY} m)
endforeach()
