// The cache refers to channels weakly, so that they close with their last client.
#include "channels.h"

#include <atomic>
#include <cstdlib>
#include <unordered_map>
#include <utility>

#include "text.h"

namespace triton::client::internal {
namespace {

// How long gRPC may keep a call's memory after its end before the connection is closed.
constexpr std::chrono::milliseconds kPatience{2000};

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

Live::Live(const std::shared_ptr<grpc::Channel>& shared)
    : channel(shared),
      stub(inference::GRPCInferenceService::NewStub(shared)),
      generic(shared),
      infer("/inference.GRPCInferenceService/ModelInfer", nullptr,
            grpc::internal::RpcMethod::NORMAL_RPC, shared) {}

Channel::Channel(const ChannelRecipe& recipe) {
  grpc::ChannelArguments arguments = recipe.arguments;
  // gRPC shares connections among channels with equal arguments.
  arguments.SetInt("triton_client_channel_idx", NextIndex());
  live_ = std::make_shared<Live>(
      grpc::CreateCustomChannel(recipe.url, recipe.credentials, arguments));
}

std::shared_ptr<Live> Channel::Get() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return live_;
}

void Channel::GiveUp() {
  std::shared_ptr<Live> dropped;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    dropped.swap(live_);
    for (auto* context : contexts_) context->TryCancel();
  }
}

Channel::Visit::Visit(std::shared_ptr<Channel> channel, grpc::ClientContext* context)
    : channel_(std::move(channel)), context_(context) {
  const std::lock_guard<std::mutex> lock(channel_->mutex_);
  live_ = channel_->live_;
  if (live_ != nullptr) channel_->contexts_.insert(context_);
}

void Channel::Visit::End() {
  if (live_ == nullptr) return;
  {
    const std::lock_guard<std::mutex> lock(channel_->mutex_);
    channel_->contexts_.erase(context_);
  }
  live_.reset();
}

void Reclaim(const std::shared_ptr<Loan>& loan, const std::shared_ptr<Channel>& channel) {
  if (loan == nullptr || loan->WaitFor(kPatience)) return;
  channel->GiveUp();
  loan->Wait();
}

ChannelShare::ChannelShare(ChannelRecipe recipe)
    : recipe_(std::move(recipe)), channel_(Acquire()) {}

ChannelShare::~ChannelShare() { Release(channel_); }

std::shared_ptr<Channel> ChannelShare::Get() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (channel_->Get() == nullptr) {
    Release(channel_);
    channel_ = Acquire();
  }
  return channel_;
}

std::shared_ptr<Channel> ChannelShare::Acquire() {
  if (!recipe_.shared) return std::make_shared<Channel>(recipe_);
  Cache& cache = TheCache();
  const std::lock_guard<std::mutex> lock(cache.mutex);
  auto& kept = cache.channels[recipe_.key];
  auto channel = kept.lock();
  if (channel == nullptr || channel->clients_ >= MostClients() || channel->Get() == nullptr) {
    channel = std::make_shared<Channel>(recipe_);
    kept = channel;
  }
  ++channel->clients_;
  return channel;
}

void ChannelShare::Release(const std::shared_ptr<Channel>& channel) {
  if (!recipe_.shared) return;
  Cache& cache = TheCache();
  const std::lock_guard<std::mutex> lock(cache.mutex);
  if (--channel->clients_ > 0) return;
  const auto found = cache.channels.find(recipe_.key);
  if (found != cache.channels.end() && found->second.lock() == channel) {
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
