strongroom_test(unit-ring SOURCES ring.c DEPS strongroom_base)
