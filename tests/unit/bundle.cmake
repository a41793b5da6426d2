# What a sealed plaintext may be.
strongroom_test(unit-bundle SOURCES ${CMAKE_CURRENT_LIST_DIR}/bundle.c
  ${CMAKE_CURRENT_LIST_DIR}/engine_model.c DEPS strongroom_bundle)
