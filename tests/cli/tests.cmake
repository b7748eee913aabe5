# The program as its users meet it: tests/cli/run.sh PROGRAM CASES, for each file cases_CASES.sh.
if(TARGET thalweg-cli)
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/cases_*.sh)
  foreach(file ${files})
    string(REGEX REPLACE ".*/cases_(.*)\\.sh$" "\\1" cases ${file})
    add_test(NAME cli/${cases} COMMAND ${CMAKE_CURRENT_LIST_DIR}/run.sh $<TARGET_FILE:thalweg-cli> ${cases})
    set_tests_properties(cli/${cases} PROPERTIES TIMEOUT 600)
  endforeach()
  set_tests_properties(cli/planning PROPERTIES LABELS slow) # as those of training in CMakeLists.txt
endif()
