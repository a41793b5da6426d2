# Every field of a policy, on a running server; then what is said about connections.
foreach(suite policy policy_tls)
  add_test(NAME e2e-${suite} COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_CURRENT_LIST_DIR}/${suite}.py)
  set_tests_properties(e2e-${suite} PROPERTIES LABELS e2e TIMEOUT 300
    ENVIRONMENT "STRONGROOM_BIN=${PROJECT_BINARY_DIR}")
endforeach()
