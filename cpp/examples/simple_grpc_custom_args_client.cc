// Sets gRPC's channel arguments directly.
#include "example.h"
#include "grpc_client.h"

int main(int argc, char** argv) {
  example::Flags flags("localhost:8001");
  flags.Parse(argc, argv);
  grpc::ChannelArguments arguments;
  arguments.SetMaxSendMessageSize(1024 * 1024);
  arguments.SetMaxReceiveMessageSize(1024 * 1024);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, INT_MAX);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 2);
  arguments.SetInt(GRPC_ARG_DNS_ENABLE_SRV_QUERIES, 1);
  std::unique_ptr<tc::InferenceServerGrpcClient> client;
  example::Check(
      tc::InferenceServerGrpcClient::Create(&client, flags.url, arguments, flags.verbose),
      "unable to create grpc client");

  const example::SimpleInputs data;
  const auto input0 = example::Input("INPUT0", {1, 16}, "INT32", data.input0);
  const auto input1 = example::Input("INPUT1", {1, 16}, "INT32", data.input1);
  tc::InferResult* result = nullptr;
  example::Check(client->Infer(&result, tc::InferOptions("simple"), {input0.get(), input1.get()},
                               {}, flags.headers),
                 "unable to run model");
  const std::unique_ptr<tc::InferResult> owner(result);
  example::CheckSimple(*result, data);
  std::cout << "PASS : CustomArgs" << std::endl;
  return 0;
}
