# Libraries, headers, the package for CMake and the files for pkg-config.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/TritonClient)
set(http_targets "")
set(grpc_targets "")
foreach(target IN LISTS triton_client_installed)
  if(target MATCHES "^grpc")
    list(APPEND grpc_targets ${target})
  elseif(target MATCHES "^http")
    list(APPEND http_targets ${target})
  endif()
endforeach()

install(TARGETS shm_utils_static json_utils_static EXPORT TritonClientUtilsTargets
  DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT TritonClientUtilsTargets NAMESPACE TritonClient:: DESTINATION ${package_dir})
foreach(part http grpc)
  if(${part}_targets)
    install(TARGETS ${${part}_targets} EXPORT TritonClient_${part}_Targets
      DESTINATION ${CMAKE_INSTALL_LIBDIR})
    install(EXPORT TritonClient_${part}_Targets FILE TritonClient-${part}-targets.cmake
      NAMESPACE TritonClient:: DESTINATION ${package_dir})
  endif()
endforeach()

set(left_out "")
if(NOT TRITON_ENABLE_CC_HTTP)
  list(APPEND left_out PATTERN http_client.h EXCLUDE PATTERN http.h EXCLUDE)
endif()
if(NOT TRITON_ENABLE_CC_GRPC)
  list(APPEND left_out PATTERN grpc_client.h EXCLUDE PATTERN grpc.h EXCLUDE)
endif()
install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h"
  ${left_out})
if(TRITON_ENABLE_CC_GRPC)
  install(FILES ${triton_client_proto_headers} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
endif()

configure_package_config_file(cmake/TritonClientConfig.cmake.in TritonClientConfig.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(TritonClientConfigVersion.cmake COMPATIBILITY SameMajorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/TritonClientConfig.cmake"
  "${CMAKE_CURRENT_BINARY_DIR}/TritonClientConfigVersion.cmake" DESTINATION ${package_dir})

if(TRITON_ENABLE_GPU)
  install(FILES cmake/CudaRuntime.cmake DESTINATION ${package_dir})
endif()

foreach(part http grpc)
  if(${part}_targets)
    configure_file(cmake/tritonclient-${part}.pc.in tritonclient-${part}.pc @ONLY)
    install(FILES "${CMAKE_CURRENT_BINARY_DIR}/tritonclient-${part}.pc"
      DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
  endif()
endforeach()
