strongroom_test(unit-engine-random SOURCES engine_random.c engine_model.c DEPS strongroom_engine)
