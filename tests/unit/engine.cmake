if(STRONGROOM_SANITIZE)
  set(engine_secrecy) # it reads the whole process, and a sanitizer's shadow is as large as the address space
else()
  set(engine_secrecy secrecy)
endif()
foreach(part session reader kernels spent ${engine_secrecy})
  strongroom_test(unit-engine-${part} SOURCES engine_${part}.c engine_model.c DEPS strongroom_engine)
endforeach()
