# The target `tidy` runs clang-tidy on each source that changed since it was last run.
find_program(CLANG_TIDY NAMES clang-tidy clang-tidy-14)
if(NOT CLANG_TIDY)
  add_custom_target(tidy COMMAND ${CMAKE_COMMAND} -E echo "clang-tidy is missing" COMMAND
    ${CMAKE_COMMAND} -E false VERBATIM)
  return()
endif()
file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/src/*.cc")
file(GLOB_RECURSE headers CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/src/*.h"
  "${CMAKE_CURRENT_SOURCE_DIR}/include/*.h")
set(stamps "")
foreach(source IN LISTS sources)
  get_filename_component(name "${source}" NAME)
  set(stamp "${CMAKE_CURRENT_BINARY_DIR}/tidy/${name}.checked")
  add_custom_command(OUTPUT "${stamp}"
    COMMAND ${CLANG_TIDY} -p "${CMAKE_BINARY_DIR}" --quiet "${source}"
    COMMAND ${CMAKE_COMMAND} -E make_directory "${CMAKE_CURRENT_BINARY_DIR}/tidy"
    COMMAND ${CMAKE_COMMAND} -E touch "${stamp}"
    DEPENDS "${source}" ${headers} ${triton_client_proto_headers} .clang-tidy
    COMMENT "Checking ${name}" VERBATIM)
  list(APPEND stamps "${stamp}")
endforeach()
add_custom_target(tidy DEPENDS ${stamps})
