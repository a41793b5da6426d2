# Values on their way through the whole server, bit by bit.
add_test(NAME e2e-codec COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_CURRENT_LIST_DIR}/codec.py)
set_tests_properties(e2e-codec PROPERTIES LABELS e2e TIMEOUT 300
  ENVIRONMENT "STRONGROOM_BIN=${PROJECT_BINARY_DIR}")
