# What an operator may do.
strongroom_test(unit-tenancy
  SOURCES
    ${CMAKE_CURRENT_LIST_DIR}/store_fixture.c
    ${CMAKE_CURRENT_LIST_DIR}/tenancy_command.c
  DEPS strongroom_tenancy strongroom_store strongroom_crypto strongroom_base PkgConfig::JANSSON
  LABELS unit)
