strongroom_test(unit-config SOURCES config.c DEPS strongroom_base)
