# How `strongroom` behaves towards people and scripts: terminals, colour, progress, help, completion.
add_test(NAME e2e-manners COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_CURRENT_LIST_DIR}/manners.py)
set_tests_properties(e2e-manners PROPERTIES LABELS e2e TIMEOUT 300
  ENVIRONMENT "STRONGROOM_BIN=${PROJECT_BINARY_DIR}")
