# Every subcommand of `strongroom`, with the server stopped and with it running.
add_test(NAME e2e-cli COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_CURRENT_LIST_DIR}/cli.py)
set_tests_properties(e2e-cli PROPERTIES LABELS e2e TIMEOUT 300
  ENVIRONMENT "STRONGROOM_BIN=${PROJECT_BINARY_DIR}")
