# Run the conformance runner on a folder; without the folder, a named skip.
if(NOT EXISTS ${FOLDER})
  message(STATUS "skip: no test data at this place: ${FOLDER}")
  return()
endif()
execute_process(COMMAND ${RUNNER} ${ARGUMENTS} ${FOLDER} RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "conformance failed")
endif()
