# Tests of the house itself: its order, its scripts, and what it installs.
add_test(NAME house/includes COMMAND ${CMAKE_SOURCE_DIR}/scripts/check-includes.sh ${CMAKE_SOURCE_DIR})
add_test(NAME house/includes_planted COMMAND ${CMAKE_SOURCE_DIR}/tests/house/test_check_includes.sh)
add_test(NAME house/deps COMMAND ${CMAKE_SOURCE_DIR}/tests/house/test_deps.sh)
# an installed library with a sanitizer inside asks its users for the same flags: only plain builds are tried
if(TARGET thalweg-cli AND NOT TW_SANITIZE)
  add_test(NAME house/install
           COMMAND ${CMAKE_SOURCE_DIR}/tests/install/test_install.sh ${CMAKE_BINARY_DIR} ${CMAKE_C_COMPILER})
  set_tests_properties(house/install PROPERTIES TIMEOUT 600)
endif()
if(TARGET thalweg-cli)
  add_test(NAME python/model COMMAND ${CMAKE_SOURCE_DIR}/tests/python/test_model.sh $<TARGET_FILE:thalweg-cli>)
  set_tests_properties(python/model PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77)
endif()
