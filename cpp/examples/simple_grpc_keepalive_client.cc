// Keeps an idle connection open by pings.
#include "example.h"
#include "grpc_client.h"

int main(int argc, char** argv) {
  example::Flags flags("localhost:8001");
  tc::KeepAliveOptions keepalive;
  flags.Number("grpc-keepalive-time", &keepalive.keepalive_time_ms, "milliseconds between pings");
  flags.Number("grpc-keepalive-timeout", &keepalive.keepalive_timeout_ms,
               "milliseconds to wait for the answer to one");
  flags.Switch("grpc-keepalive-permit-without-calls", &keepalive.keepalive_permit_without_calls,
               "ping also when there are no calls");
  flags.Number("grpc-http2-max-pings-without-data", &keepalive.http2_max_pings_without_data,
               "how many pings may follow each other without data");
  flags.Parse(argc, argv);
  std::unique_ptr<tc::InferenceServerGrpcClient> client;
  example::Check(tc::InferenceServerGrpcClient::Create(&client, flags.url, flags.verbose, false,
                                                       tc::SslOptions(), keepalive),
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
  std::cout << "PASS : KeepAlive" << std::endl;
  return 0;
}
