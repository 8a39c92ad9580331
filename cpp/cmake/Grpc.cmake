# gRPC, protobuf, and the messages of the protocol, which are generated from proto/.
find_package(Protobuf REQUIRED)
find_package(gRPC CONFIG REQUIRED)

if(TARGET gRPC::grpc_cpp_plugin)
  set(grpc_plugin $<TARGET_FILE:gRPC::grpc_cpp_plugin>)
else()
  find_program(GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)
  set(grpc_plugin ${GRPC_CPP_PLUGIN})
endif()

set(protos "${CMAKE_CURRENT_SOURCE_DIR}/../proto")
set(triton_client_protos_dir "${CMAKE_CURRENT_BINARY_DIR}/protos")
file(MAKE_DIRECTORY "${triton_client_protos_dir}")
set(triton_client_proto_headers "")
set(generated "")
foreach(stem model_config.pb grpc_service.pb grpc_service.grpc.pb)
  list(APPEND generated "${triton_client_protos_dir}/${stem}.cc")
  list(APPEND triton_client_proto_headers "${triton_client_protos_dir}/${stem}.h")
endforeach()
add_custom_command(
  OUTPUT ${generated} ${triton_client_proto_headers}
  COMMAND protobuf::protoc "-I${protos}" "--cpp_out=${triton_client_protos_dir}"
    "${protos}/model_config.proto" "${protos}/grpc_service.proto"
  COMMAND protobuf::protoc "-I${protos}" "--grpc_out=${triton_client_protos_dir}"
    "--plugin=protoc-gen-grpc=${grpc_plugin}" "${protos}/grpc_service.proto"
  DEPENDS "${protos}/model_config.proto" "${protos}/grpc_service.proto"
  COMMENT "Generating the messages of the protocol"
  VERBATIM)

# Compiled without our warnings, and visible: programs use these classes.
add_library(triton_client_protos OBJECT ${generated} ${triton_client_proto_headers})
target_compile_features(triton_client_protos PUBLIC cxx_std_17)
set_target_properties(triton_client_protos PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_include_directories(triton_client_protos SYSTEM PUBLIC "${triton_client_protos_dir}")
target_link_libraries(triton_client_protos PUBLIC gRPC::grpc++ protobuf::libprotobuf)
# They are not checked by sanitizers, like the rest of protobuf, which makes them quick to compile.
if(TRITON_CLIENT_SANITIZE OR CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_options(triton_client_protos PRIVATE -O0 -g0)
endif()
