strongroom_test(unit-engine-nn SOURCES engine_nn.c engine_model.c DEPS strongroom_engine)
