# One inference request and its answer: encodings, forms, classes, deadlines, names.
add_test(NAME e2e-infer COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_CURRENT_LIST_DIR}/infer.py)
set_tests_properties(e2e-infer PROPERTIES LABELS e2e TIMEOUT 300
  ENVIRONMENT "STRONGROOM_BIN=${PROJECT_BINARY_DIR}")
