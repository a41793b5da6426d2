# docs/OPERATORS.md says what the operator table says.
execute_process(COMMAND ${PROGRAM} OUTPUT_VARIABLE made RESULT_VARIABLE result)
file(READ ${PAGE} page)
if(NOT result EQUAL 0 OR NOT made STREQUAL page)
  message(FATAL_ERROR "docs/OPERATORS.md is stale: build the target operators-page and commit it")
endif()
