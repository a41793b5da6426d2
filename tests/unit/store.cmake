# The store: both backends under one suite, then what only SQLite has.
strongroom_test(unit-store
  SOURCES
    ${CMAKE_CURRENT_LIST_DIR}/store_audit.c
    ${CMAKE_CURRENT_LIST_DIR}/store_audit_record.c
    ${CMAKE_CURRENT_LIST_DIR}/store_fixture.c
    ${CMAKE_CURRENT_LIST_DIR}/store_models.c
    ${CMAKE_CURRENT_LIST_DIR}/store_policies.c
    ${CMAKE_CURRENT_LIST_DIR}/store_sqlite.c
    ${CMAKE_CURRENT_LIST_DIR}/store_suite.c
    ${CMAKE_CURRENT_LIST_DIR}/store_tenants.c
  DEPS strongroom_store strongroom_crypto strongroom_base PkgConfig::SQLITE
  LABELS unit)
