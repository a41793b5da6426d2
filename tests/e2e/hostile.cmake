# Clients, models and workers that mean harm: what they do to themselves must stay with them.
add_test(NAME e2e-hostile COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_CURRENT_LIST_DIR}/hostile.py)
set_tests_properties(e2e-hostile PROPERTIES LABELS e2e TIMEOUT 300
  ENVIRONMENT "STRONGROOM_BIN=${PROJECT_BINARY_DIR}")
