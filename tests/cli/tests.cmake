# The program as its users meet it: tests/cli/run.sh PROGRAM CASES.
if(TARGET thalweg-cli)
  foreach(cases options input verbs import stopping reproduce pictures tokens tables edits)
    add_test(NAME cli/${cases} COMMAND ${CMAKE_CURRENT_LIST_DIR}/run.sh $<TARGET_FILE:thalweg-cli> ${cases})
    set_tests_properties(cli/${cases} PROPERTIES TIMEOUT 600)
  endforeach()
endif()
