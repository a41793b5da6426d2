# Policies: the parser and the reference, then what the ledger makes of them.
strongroom_test(unit-policy SOURCES ${CMAKE_CURRENT_LIST_DIR}/policy.c
  DEPS strongroom_tenancy LABELS unit)
strongroom_test(unit-policy-gate SOURCES ${CMAKE_CURRENT_LIST_DIR}/policy_gate.c
  DEPS strongroom_ledger strongroom_tenancy strongroom_store strongroom_crypto LABELS unit)
