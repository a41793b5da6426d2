# Bundles: sealed, served and refused.
add_test(NAME e2e-bundle COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_CURRENT_LIST_DIR}/bundle.py)
set_tests_properties(e2e-bundle PROPERTIES LABELS e2e TIMEOUT 300
  ENVIRONMENT "STRONGROOM_BIN=${PROJECT_BINARY_DIR}")
