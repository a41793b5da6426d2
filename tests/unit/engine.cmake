foreach(part session reader kernels secrecy)
  strongroom_test(unit-engine-${part} SOURCES engine_${part}.c engine_model.c DEPS strongroom_engine)
endforeach()
