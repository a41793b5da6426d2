# Operators called one by one, and the parts they stand on: expressions, case, transforms, sorting.
foreach(part ops parts)
  strongroom_test(unit-engine-ml-${part} SOURCES engine_ml_${part}.c engine_model.c
                  DEPS strongroom_engine)
endforeach()
