strongroom_test(unit-base SOURCES base.c DEPS strongroom_base)
