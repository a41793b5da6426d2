# Checking a configuration, operators' keys, and docs/OPERATIONS.md where something is lost.
add_test(NAME e2e-operators COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_CURRENT_LIST_DIR}/operators.py)
set_tests_properties(e2e-operators PROPERTIES LABELS e2e TIMEOUT 300
  ENVIRONMENT "STRONGROOM_BIN=${PROJECT_BINARY_DIR}")
