# Idle, silent and dripping connections beside a good client, and the limits before authentication.
add_test(NAME e2e-crowd COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_CURRENT_LIST_DIR}/crowd.py)
set_tests_properties(e2e-crowd PROPERTIES LABELS e2e TIMEOUT 300 RUN_SERIAL ON
  ENVIRONMENT "STRONGROOM_BIN=${PROJECT_BINARY_DIR}")
