# Parts of the command line that tests/e2e/cli.py does not reach.
strongroom_test(unit-admin
  SOURCES
    ${CMAKE_CURRENT_LIST_DIR}/admin_parts.c
    ${CMAKE_CURRENT_LIST_DIR}/admin_terminal.c
    ${CMAKE_CURRENT_LIST_DIR}/store_fixture.c
  DEPS strongroom_admin
  LABELS unit)
