strongroom_test(unit-engine-image SOURCES engine_image.c DEPS strongroom_engine)
