# The libraries. Each exists as a static and a shared one; the objects are compiled once.
find_package(Threads REQUIRED)
if(NOT TARGET RapidJSON::headers)
  find_path(RAPIDJSON_INCLUDE_DIR rapidjson/document.h)
  if(NOT RAPIDJSON_INCLUDE_DIR)
    message(FATAL_ERROR "RapidJSON is missing: install rapidjson-dev, or set RAPIDJSON_INCLUDE_DIR")
  endif()
endif()

set(triton_client_ignore "${CMAKE_CURRENT_SOURCE_DIR}/tests/sanitizers.ignore")
set(triton_client_include "${CMAKE_CURRENT_SOURCE_DIR}/include")

function(triton_client_options target)
  target_compile_features(${target} PUBLIC cxx_std_17)
  set_target_properties(${target} PROPERTIES
    POSITION_INDEPENDENT_CODE ON CXX_EXTENSIONS OFF
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_compile_options(${target} PRIVATE ${triton_client_warnings})
  triton_client_sanitize(${target})
endfunction()

function(triton_client_sanitize target)
  if(TRITON_CLIENT_SANITIZE)
    target_compile_options(${target} PRIVATE
      -fsanitize=${TRITON_CLIENT_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
    target_link_options(${target} PUBLIC -fsanitize=${TRITON_CLIENT_SANITIZE})
    if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
      target_compile_options(${target} PRIVATE
        "-fsanitize-ignorelist=${triton_client_ignore}")
    endif()
  endif()
endfunction()

set(triton_client_installed "")

# Make a library of objects.
# triton_client_library(NAME SHARED|STATIC LINK... )
function(triton_client_library name kind)
  cmake_parse_arguments(ARG "" "" "OBJECTS;LINK" ${ARGN})
  set(sources "")
  foreach(object IN LISTS ARG_OBJECTS)
    list(APPEND sources $<TARGET_OBJECTS:${object}>)
  endforeach()
  add_library(${name} ${kind} ${sources})
  add_library(TritonClient::${name} ALIAS ${name})
  set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX)
  if(kind STREQUAL "SHARED")
    set_target_properties(${name} PROPERTIES
      VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
    if(NOT TRITON_CLIENT_SANITIZE)
      target_link_options(${name} PRIVATE -Wl,--no-undefined)
    endif()
  endif()
  target_compile_features(${name} INTERFACE cxx_std_17)
  target_include_directories(${name} INTERFACE
    $<BUILD_INTERFACE:${triton_client_include}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(${name} ${ARG_LINK})
  if(TRITON_ENABLE_GPU)
    target_compile_definitions(${name} INTERFACE TRITON_ENABLE_GPU=1)
    target_link_libraries(${name} INTERFACE CUDA::cudart)
  endif()
  triton_client_sanitize(${name})
  set(triton_client_installed ${triton_client_installed} ${name} PARENT_SCOPE)
endfunction()

function(triton_client_objects name)
  add_library(${name} OBJECT ${ARGN})
  triton_client_options(${name})
  target_include_directories(${name} PUBLIC ${triton_client_include} src)
  target_include_directories(${name} SYSTEM PRIVATE ${RAPIDJSON_INCLUDE_DIR})
  if(TRITON_ENABLE_GPU)
    target_compile_definitions(${name} PUBLIC TRITON_ENABLE_GPU=1)
    target_link_libraries(${name} PUBLIC CUDA::cudart)
  endif()
endfunction()

triton_client_objects(triton_client_error src/error.cc)
triton_client_objects(triton_client_shm src/shm.cc)
triton_client_objects(triton_client_json src/json.cc)
triton_client_objects(triton_client_core
  src/client.cc src/datatypes.cc src/dispatcher.cc src/front.cc src/outputs.cc src/tensors.cc
  src/text.cc)
set(common triton_client_error triton_client_shm triton_client_json triton_client_core)

triton_client_library(shm_utils_static STATIC OBJECTS triton_client_error triton_client_shm
  LINK INTERFACE $<$<PLATFORM_ID:Linux>:rt>)
triton_client_library(json_utils_static STATIC OBJECTS triton_client_error triton_client_json
  LINK INTERFACE)

if(TRITON_ENABLE_CC_HTTP)
  find_package(CURL 7.85 REQUIRED)
  triton_client_objects(triton_client_rest src/json_tensors.cc src/rest_request.cc
    src/rest_response.cc)
  triton_client_objects(triton_client_http src/compression.cc src/http_client.cc
    src/http_session.cc src/http_transfer.cc)
  target_link_libraries(triton_client_http PRIVATE CURL::libcurl)
  set(http_links CURL::libcurl Threads::Threads)
  if(TRITON_ENABLE_ZLIB)
    find_package(ZLIB REQUIRED)
    target_compile_definitions(triton_client_http PUBLIC TRITON_ENABLE_ZLIB=1)
    target_link_libraries(triton_client_http PRIVATE ZLIB::ZLIB)
    list(APPEND http_links ZLIB::ZLIB)
  endif()
  set(http_objects ${common} triton_client_rest triton_client_http)
  triton_client_library(httpclient SHARED OBJECTS ${http_objects} LINK PRIVATE ${http_links})
  triton_client_library(httpclient_static STATIC OBJECTS ${http_objects} LINK PUBLIC ${http_links})
  target_link_libraries(httpclient PUBLIC Threads::Threads)
  foreach(library httpclient httpclient_static)
    if(TRITON_ENABLE_ZLIB)
      target_compile_definitions(${library} INTERFACE TRITON_ENABLE_ZLIB=1)
    endif()
  endforeach()
endif()

if(TRITON_ENABLE_CC_GRPC)
  include(cmake/Grpc.cmake)
  triton_client_objects(triton_client_message src/contents.cc src/infer_request_message.cc
    src/infer_response_message.cc)
  triton_client_objects(triton_client_grpc src/channels.cc src/grpc_async.cc src/grpc_calls.cc
    src/grpc_client.cc src/grpc_stream.cc src/stuck_sockets.cc)
  foreach(objects triton_client_message triton_client_grpc)
    target_link_libraries(${objects} PUBLIC triton_client_protos)
  endforeach()
  set(grpc_objects ${common} triton_client_message triton_client_grpc triton_client_protos)
  # Programs that call DebugString() or use ChannelArguments need these libraries themselves.
  set(grpc_links gRPC::grpc++ protobuf::libprotobuf Threads::Threads)
  triton_client_library(grpcclient SHARED OBJECTS ${grpc_objects} LINK PUBLIC ${grpc_links})
  triton_client_library(grpcclient_static STATIC OBJECTS ${grpc_objects} LINK PUBLIC ${grpc_links})
  foreach(library grpcclient grpcclient_static)
    target_include_directories(${library} INTERFACE $<BUILD_INTERFACE:${triton_client_protos_dir}>)
    add_dependencies(${library} triton_client_protos)
  endforeach()
endif()
