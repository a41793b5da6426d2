# A store that was edited, and recovery by hand with the commands of docs/OPERATIONS.md.
add_test(NAME e2e-recipient COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_CURRENT_LIST_DIR}/recipient.py)
set_tests_properties(e2e-recipient PROPERTIES LABELS e2e TIMEOUT 300
  ENVIRONMENT "STRONGROOM_BIN=${PROJECT_BINARY_DIR}")
