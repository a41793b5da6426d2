# The target civetweb::civetweb, from what civetweb.sh has prepared: the system's library where it is
# new enough, otherwise the static one. The folder is shared between build folders.
if(DEFINED ENV{STRONGROOM_CIVETWEB_DIR})
  set(civetweb_folder $ENV{STRONGROOM_CIVETWEB_DIR})
else()
  set(civetweb_folder ${PROJECT_SOURCE_DIR}/build/deps/civetweb)
endif()
set(STRONGROOM_CIVETWEB_DIR ${civetweb_folder} CACHE PATH "What cmake/civetweb.sh prepared")

if(NOT TARGET civetweb::civetweb)
  if(NOT EXISTS ${STRONGROOM_CIVETWEB_DIR}/kind)
    message(FATAL_ERROR "CivetWeb 1.16 is not prepared: run cmake/civetweb.sh first")
  endif()
  file(STRINGS ${STRONGROOM_CIVETWEB_DIR}/kind civetweb_kind LIMIT_COUNT 1)
  find_package(OpenSSL 3.0 REQUIRED GLOBAL)
  if(civetweb_kind STREQUAL "system")
    pkg_check_modules(CIVETWEB REQUIRED IMPORTED_TARGET civetweb>=1.16)
    add_library(civetweb::civetweb INTERFACE IMPORTED GLOBAL)
    target_link_libraries(civetweb::civetweb INTERFACE PkgConfig::CIVETWEB)
  else()
    add_library(civetweb::civetweb STATIC IMPORTED GLOBAL)
    set_target_properties(civetweb::civetweb PROPERTIES
      IMPORTED_LOCATION ${STRONGROOM_CIVETWEB_DIR}/lib/libcivetweb.a
      INTERFACE_INCLUDE_DIRECTORIES ${STRONGROOM_CIVETWEB_DIR}/include)
  endif()
  set_property(TARGET civetweb::civetweb APPEND PROPERTY
    INTERFACE_LINK_LIBRARIES OpenSSL::SSL OpenSSL::Crypto Threads::Threads)
endif()
