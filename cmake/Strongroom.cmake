# What every target of the project shares: warnings as errors, hardening, and two helpers.
include(CMakeParseArguments)
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

add_compile_definitions(_GNU_SOURCE)
add_compile_options(
  -Wall -Wextra -Wvla -Walloca -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes
  -Wpointer-arith -Wformat=2 -Werror
  -fno-strict-aliasing -fstack-protector-strong -fno-common)
if(STRONGROOM_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
else()
  add_compile_definitions($<$<NOT:$<CONFIG:Debug>>:_FORTIFY_SOURCE=2>)
endif()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
add_link_options(-Wl,-z,relro,-z,now -pie)
include_directories(${PROJECT_SOURCE_DIR}) # includes are relative to the root, so every dependency shows

# strongroom_library(NAME SOURCES a.c b.c DEPS lib1 lib2): a static library of one folder.
function(strongroom_library name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${A_SOURCES})
  target_link_libraries(${name} PUBLIC ${A_DEPS} Threads::Threads)
endfunction()

# strongroom_test(NAME SOURCES a.c DEPS lib1): a Criterion suite, registered with ctest.
function(strongroom_test name)
  cmake_parse_arguments(A "" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT TARGET PkgConfig::CRITERION)
    pkg_check_modules(CRITERION REQUIRED IMPORTED_TARGET criterion)
  endif()
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE ${A_DEPS} PkgConfig::CRITERION)
  # Criterion's own macros and headers are not clean under our stricter warnings.
  target_compile_options(${name} PRIVATE -Wno-missing-prototypes -Wno-conversion -Wno-shadow)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 120)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${A_TIMEOUT} LABELS "${A_LABELS}")
endfunction()
