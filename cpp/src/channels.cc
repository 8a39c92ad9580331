// The cache refers to channels weakly, so that they close with their last client.
#include "channels.h"

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "stuck_sockets.h"
#include "text.h"

namespace triton::client::internal {
namespace {

// How long a connection may move nothing, after the end of a call whose memory gRPC keeps.
constexpr std::chrono::milliseconds kPatience{1000};

int MostClients() {
  constexpr int kDefault = 6;
  const char* text = std::getenv("TRITON_CLIENT_GRPC_CHANNEL_MAX_SHARE_COUNT");
  int64_t value = 0;
  if (text == nullptr || !ParseInt64(text, &value) || value < 1 || value > INT_MAX) return kDefault;
  return static_cast<int>(value);
}

struct Cache {
  std::mutex mutex;
  std::unordered_map<std::string, std::weak_ptr<Channel>> channels;
};

// Never destroyed: clients may end after it would.
Cache& TheCache() {
  static Cache* const cache = new Cache();
  return *cache;
}

int NextIndex() {
  static std::atomic<int> index{0};
  return index.fetch_add(1);
}

}  // namespace

Channel::Channel(const std::shared_ptr<grpc::Channel>& shared)
    : channel(shared),
      stub(inference::GRPCInferenceService::NewStub(shared)),
      generic(shared),
      infer("/inference.GRPCInferenceService/ModelInfer", nullptr,
            grpc::internal::RpcMethod::NORMAL_RPC, shared) {}

void Reclaim(const std::shared_ptr<Loan>& loan, const std::string& peer) {
  if (loan == nullptr) return;
  Rescue rescue;
  while (!loan->WaitFor(kPatience)) rescue.Try(peer);
}

void Rescue::Try(const std::string& peer) {
  const auto now = std::chrono::steady_clock::now();
  if (now - last_ < kPatience) return;
  last_ = now;
  ShutDownStuck(peer, before_);
  before_ = SocketsThatWait(peer);
}

ChannelShare::ChannelShare(ChannelRecipe recipe)
    : recipe_(std::move(recipe)), channel_(Acquire()) {}

std::shared_ptr<Channel> ChannelShare::Acquire() const {
  const auto make = [this] {
    grpc::ChannelArguments arguments = recipe_.arguments;
    // gRPC shares connections among channels with equal arguments.
    arguments.SetInt("triton_client_channel_idx", NextIndex());
    return std::make_shared<Channel>(
        grpc::CreateCustomChannel(recipe_.url, recipe_.credentials, arguments));
  };
  if (!recipe_.shared) return make();
  Cache& cache = TheCache();
  const std::lock_guard<std::mutex> lock(cache.mutex);
  auto& kept = cache.channels[recipe_.key];
  auto channel = kept.lock();
  if (channel == nullptr || channel->clients >= MostClients()) {
    channel = make();
    kept = channel;
  }
  ++channel->clients;
  return channel;
}

ChannelShare::~ChannelShare() {
  if (!recipe_.shared) return;
  Cache& cache = TheCache();
  const std::lock_guard<std::mutex> lock(cache.mutex);
  if (--channel_->clients > 0) return;
  const auto found = cache.channels.find(recipe_.key);
  if (found != cache.channels.end() && found->second.lock() == channel_) {
    cache.channels.erase(found);
  }
}

size_t ChannelShare::CachedChannels() {
  Cache& cache = TheCache();
  const std::lock_guard<std::mutex> lock(cache.mutex);
  return cache.channels.size();
}

std::string KeyOf(const grpc::ChannelArguments& arguments) {
  const grpc_channel_args args = arguments.c_channel_args();
  std::string key;
  if (args.args == nullptr) return key;
  for (size_t i = 0; i < args.num_args; ++i) {
    const grpc_arg& arg = args.args[i];
    key += std::to_string(arg.type) + "|" + arg.key + "=";
    if (arg.type == GRPC_ARG_STRING) {
      key += std::to_string(std::string_view(arg.value.string).size()) + ":" + arg.value.string;
    } else if (arg.type == GRPC_ARG_INTEGER) {
      key += std::to_string(arg.value.integer);
    } else {
      key += std::to_string(reinterpret_cast<uintptr_t>(arg.value.pointer.p));
    }
    key += '\n';
  }
  return key;
}

}  // namespace triton::client::internal
