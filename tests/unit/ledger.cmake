strongroom_test(unit-ledger SOURCES ${CMAKE_CURRENT_LIST_DIR}/ledger.c
  DEPS strongroom_ledger strongroom_store strongroom_crypto strongroom_base LABELS unit)
