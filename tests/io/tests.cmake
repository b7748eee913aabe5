# Exchange with the Python package `safetensors`; skipped where it is not installed.
add_test(NAME io/python-safetensors
         COMMAND ${CMAKE_SOURCE_DIR}/tests/io/python_safetensors.sh $<TARGET_FILE:test_io_safetensors>)
set_tests_properties(io/python-safetensors PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 120)
