# A classifier whose probabilities are maps, served.
add_test(NAME e2e-maps COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_CURRENT_LIST_DIR}/maps.py)
set_tests_properties(e2e-maps PROPERTIES LABELS e2e TIMEOUT 300
  ENVIRONMENT "STRONGROOM_BIN=${PROJECT_BINARY_DIR}")
