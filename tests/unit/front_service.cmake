# The front as a process: the test plays launch, ledger and worker.
strongroom_test(unit-front-service SOURCES front_service.c front_service_fixture.c
  DEPS strongroom_front OpenSSL::SSL OpenSSL::Crypto TIMEOUT 180)
