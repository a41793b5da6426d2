strongroom_test(unit-message SOURCES message.c DEPS strongroom_base)
