// Channels, which clients share.
#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/rpc_method.h>

#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>

#include "grpc_service.grpc.pb.h"
#include "infer_message.h"

namespace triton::client::internal {

/// A channel of gRPC and what makes calls on it.
struct Live {
  explicit Live(const std::shared_ptr<grpc::Channel>& shared);

  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<inference::GRPCInferenceService::Stub> stub;
  grpc::GenericStub generic;
  grpc::internal::RpcMethod infer;
};

/// How to make a channel, and what it is known by.
struct ChannelRecipe {
  std::string url;
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  grpc::ChannelArguments arguments;
  std::string key;  // the same for channels that can be shared
  bool shared = true;
};

/// A channel that can be given up when its connection takes nothing any more.
class Channel {
 public:
  explicit Channel(const ChannelRecipe& recipe);

  /// Return what to call; null once the channel was given up.
  std::shared_ptr<Live> Get();

  /// Close the connection: cancel all calls on it, so that gRPC lets go of their memory.
  void GiveUp();

  /// A call's time on a channel.
  class Visit {
   public:
    Visit(std::shared_ptr<Channel> channel, grpc::ClientContext* context);
    ~Visit() { End(); }
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;

    /// End the call. Afterwards the context may be destroyed.
    void End();

    Live* live() const { return live_.get(); }
    const std::shared_ptr<Channel>& channel() const { return channel_; }

   private:
    std::shared_ptr<Channel> channel_;
    grpc::ClientContext* context_;
    std::shared_ptr<Live> live_;
  };

 private:
  friend class ChannelShare;
  std::mutex mutex_;
  std::shared_ptr<Live> live_;
  std::unordered_set<grpc::ClientContext*> contexts_;
  int clients_ = 0;  // of the cache's mutex
};

/// Wait until gRPC has returned what a call lent it; close a connection that keeps it.
void Reclaim(const std::shared_ptr<Loan>& loan, const std::shared_ptr<Channel>& channel);

/// A client's part in a channel.
class ChannelShare {
 public:
  explicit ChannelShare(ChannelRecipe recipe);
  ~ChannelShare();
  ChannelShare(const ChannelShare&) = delete;
  ChannelShare& operator=(const ChannelShare&) = delete;

  /// Return a channel that was not given up.
  std::shared_ptr<Channel> Get();

  /// Return how many channels are in the cache.
  static size_t CachedChannels();

  const std::string& url() const { return recipe_.url; }

 private:
  std::shared_ptr<Channel> Acquire();
  void Release(const std::shared_ptr<Channel>& channel);

  const ChannelRecipe recipe_;
  std::mutex mutex_;
  std::shared_ptr<Channel> channel_;
};

/// Make a text that is the same for equal arguments.
std::string KeyOf(const grpc::ChannelArguments& arguments);

}  // namespace triton::client::internal
