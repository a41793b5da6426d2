# libFuzzer target over the parsers of crypto/, built from the real sources with coverage and
# sanitizers; needs clang. ctest runs it for a bounded time from the seeds beside this file.
if(STRONGROOM_FUZZ)
  set(fuzz_age_flags -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
    -fno-omit-frame-pointer)
  get_target_property(fuzz_age_sources strongroom_crypto SOURCES)
  list(TRANSFORM fuzz_age_sources PREPEND ${PROJECT_SOURCE_DIR}/crypto/)
  add_executable(fuzz-age ${CMAKE_CURRENT_LIST_DIR}/age.c ${fuzz_age_sources}
    ${PROJECT_SOURCE_DIR}/base/buf.c ${PROJECT_SOURCE_DIR}/base/name.c
    ${PROJECT_SOURCE_DIR}/base/status.c)
  target_compile_options(fuzz-age PRIVATE ${fuzz_age_flags} -U_FORTIFY_SOURCE)
  target_link_options(fuzz-age PRIVATE -fsanitize=fuzzer,address,undefined)
  target_link_libraries(fuzz-age PRIVATE PkgConfig::SODIUM Threads::Threads)
  set_target_properties(fuzz-age PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/tests/fuzz-age-corpus)
  add_test(NAME fuzz-age COMMAND fuzz-age -max_total_time=20 -max_len=8192 -timeout=10
    ${PROJECT_BINARY_DIR}/tests/fuzz-age-corpus ${CMAKE_CURRENT_LIST_DIR}/age-corpus)
  set_tests_properties(fuzz-age PROPERTIES LABELS fuzz TIMEOUT 120)
endif()
