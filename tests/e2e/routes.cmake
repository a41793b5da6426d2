# Every route of the API: what it does, and that it is as /openapi.json describes it.
add_test(NAME e2e-routes COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_CURRENT_LIST_DIR}/routes.py)
add_test(NAME e2e-openapi COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_CURRENT_LIST_DIR}/openapi.py
  ${PROJECT_SOURCE_DIR}/build/client-venv/bin/python)
set_tests_properties(e2e-routes e2e-openapi PROPERTIES LABELS e2e TIMEOUT 300 SKIP_RETURN_CODE 77
  ENVIRONMENT "STRONGROOM_BIN=${PROJECT_BINARY_DIR}")
