# The front as a process: the test plays launch, ledger and worker.
# Not under a sanitizer: its runtime calls sigaltstack, for which the front's sandbox kills.
if(STRONGROOM_SANITIZE)
  message(STATUS "unit-front-service is left out: its sandbox does not let a sanitizer's runtime work")
  return()
endif()
strongroom_test(unit-front-service SOURCES front_service.c front_service_fixture.c
  DEPS strongroom_front OpenSSL::SSL OpenSSL::Crypto TIMEOUT 180)
