// Programs that are the same over both protocols are compiled twice, once with EXAMPLE_GRPC.
#pragma once

#include "example.h"
#ifdef EXAMPLE_GRPC
#include "grpc_client.h"
#else
#include "http_client.h"
#endif

namespace example {

#ifdef EXAMPLE_GRPC
using Client = tc::InferenceServerGrpcClient;
constexpr char kDefaultUrl[] = "localhost:8001";
#else
using Client = tc::InferenceServerHttpClient;
constexpr char kDefaultUrl[] = "localhost:8000";
#endif

inline std::unique_ptr<Client> Connect(const Flags& flags) {
  std::unique_ptr<Client> client;
  Check(Client::Create(&client, flags.url, flags.verbose), "unable to create client");
  return client;
}

}  // namespace example
