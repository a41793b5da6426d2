# Image files through a served model, in the worker's sandbox.
add_test(NAME e2e-images COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_CURRENT_LIST_DIR}/images.py)
set_tests_properties(e2e-images PROPERTIES LABELS e2e TIMEOUT 120
  ENVIRONMENT "STRONGROOM_BIN=${PROJECT_BINARY_DIR}")
