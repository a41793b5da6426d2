# Certificates renewed under load, the TLS floor, certificates of clients, SIGTERM.
add_test(NAME e2e-reload COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_CURRENT_LIST_DIR}/reload.py)
set_tests_properties(e2e-reload PROPERTIES LABELS e2e TIMEOUT 300
  ENVIRONMENT "STRONGROOM_BIN=${PROJECT_BINARY_DIR}")
