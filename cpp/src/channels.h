// Channels, which clients share.
#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/rpc_method.h>

#include <memory>
#include <string>

#include "grpc_service.grpc.pb.h"
#include "infer_message.h"
#include "stuck_sockets.h"

namespace triton::client::internal {

/// A channel of gRPC and what makes calls on it.
struct Channel {
  explicit Channel(const std::shared_ptr<grpc::Channel>& shared);

  const std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<inference::GRPCInferenceService::Stub> stub;
  grpc::GenericStub generic;
  const grpc::internal::RpcMethod infer;
  int clients = 0;  // of the cache's mutex
};

/// How to make a channel, and what it is known by.
struct ChannelRecipe {
  std::string url;
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  grpc::ChannelArguments arguments;
  std::string key;  // the same for channels that can be shared
  bool shared = true;
};

/// Wait until gRPC has returned what a call lent it. Connections to the peer that take nothing for
/// a second are shut down, since gRPC would keep the memory until they do.
/// @param peer as the call's context names it.
void Reclaim(const std::shared_ptr<Loan>& loan, const std::string& peer);

/// Shuts down what is stuck, when it is asked twice, at least a second apart, and nothing moved.
class Rescue {
 public:
  void Try(const std::string& peer);

 private:
  WaitingBytes before_;
  std::chrono::steady_clock::time_point last_{};
};

/// A client's part in a channel.
class ChannelShare {
 public:
  explicit ChannelShare(ChannelRecipe recipe);
  ~ChannelShare();
  ChannelShare(const ChannelShare&) = delete;
  ChannelShare& operator=(const ChannelShare&) = delete;

  const std::shared_ptr<Channel>& channel() const { return channel_; }

  /// Return how many channels are in the cache.
  static size_t CachedChannels();

  const std::string& url() const { return recipe_.url; }

 private:
  std::shared_ptr<Channel> Acquire() const;

  const ChannelRecipe recipe_;
  const std::shared_ptr<Channel> channel_;
};

/// Make a text that is the same for equal arguments.
std::string KeyOf(const grpc::ChannelArguments& arguments);

}  // namespace triton::client::internal
