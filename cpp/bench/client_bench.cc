// Measures calls of a model: client_bench WAY ADDRESS BYTES CALLS [THREADS].
//
// WAY is http or grpc (our clients), curl or stub (a bare loop that sends the same bytes and does
// not look at the answer). Up to 128 bytes the model is `simple`, which takes 128; beyond,
// `identity_fp32`. Prints the wall time and the processor time of a call in microseconds, and the
// peak of the memory in KiB.
#include <curl/curl.h>
#include <grpcpp/impl/client_unary_call.h>
#include <sys/resource.h>

#include <fstream>

#include "grpc_client.h"
#include "http_client.h"

namespace tc = triton::client;
using Clock = std::chrono::steady_clock;

namespace {

[[noreturn]] void Fail(const std::string& reason) {
  std::cerr << "error: " << reason << std::endl;
  std::exit(1);
}

// The inputs of the model that is measured.
struct Work {
  explicit Work(size_t bytes) : options(bytes <= 128 ? "simple" : "identity_fp32") {
    if (bytes <= 128) {
      for (const char* name : {"INPUT0", "INPUT1"}) {
        owned.push_back(tc::InferInput::Make(name, {1, 16}, std::vector<int32_t>(16, 1)));
      }
    } else {
      const auto count = static_cast<int64_t>(bytes / 4);
      owned.push_back(tc::InferInput::Make("INPUT0", {count}, std::vector<float>(bytes / 4, 1)));
    }
    for (const auto& input : owned) inputs.push_back(input.get());
  }
  tc::InferOptions options;
  std::vector<std::unique_ptr<tc::InferInput>> owned;
  std::vector<tc::InferInput*> inputs;
};

double ProcessorUs() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto us = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
  };
  return us(usage.ru_utime) + us(usage.ru_stime);
}

// The peak that getrusage() gives counts what the process was before it ran this program.
long PeakKib() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    long kib = 0;
    if (word == "VmHWM:" && status >> kib) return kib;
  }
  return 0;
}

using Call = std::function<void()>;

template <typename Client>
Call Ours(const std::string& url, const Work& work) {
  auto client = std::make_shared<std::unique_ptr<Client>>();
  if (!Client::Create(client.get(), url).IsOk()) Fail("no client");
  return [client, &work] {
    tc::InferResult* result = nullptr;
    const tc::Error err = (*client)->Infer(&result, work.options, work.inputs);
    if (!err.IsOk()) Fail(err.Message());
    delete result;
  };
}

size_t Take(char* data, size_t size, size_t count, void* out) {
  auto* body = static_cast<std::vector<char>*>(out);
  body->insert(body->end(), data, data + size * count);
  return size * count;
}

Call Curl(const std::string& url, const Work& work) {
  auto body = std::make_shared<std::vector<char>>();
  size_t head = 0;
  tc::InferenceServerHttpClient::GenerateRequestBody(body.get(), &head, work.options, work.inputs);
  auto answer = std::make_shared<std::vector<char>>();
  CURL* easy = curl_easy_init();
  const std::string path = "http://" + url + "/v2/models/" + work.options.model_name_ + "/infer";
  curl_easy_setopt(easy, CURLOPT_URL, path.c_str());
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body->data());
  curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body->size()));
  const std::string length = "Inference-Header-Content-Length: " + std::to_string(head);
  // Triton ends when it gets a large body as a form, which is what curl says by itself.
  const char* type = "Content-Type: application/octet-stream";
  curl_slist* headers = nullptr;
  for (const char* line : {length.c_str(), type, "Expect:"})
    headers = curl_slist_append(headers, line);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, Take);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer.get());
  return [easy, body, answer] {
    answer->clear();
    if (curl_easy_perform(easy) != CURLE_OK) Fail("curl failed");
  };
}

Call Stub(const std::string& url, const Work& work) {
  auto request = std::make_shared<inference::ModelInferRequest>();
  request->set_model_name(work.options.model_name_);
  for (auto* input : work.inputs) {
    auto* tensor = request->add_inputs();
    tensor->set_name(input->Name());
    tensor->set_datatype(input->Datatype());
    for (const auto dim : input->Shape()) tensor->add_shape(dim);
    const uint8_t* data = nullptr;
    size_t size = 0;
    input->RawData(&data, &size);
    request->add_raw_input_contents(data, size);
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  const std::shared_ptr<grpc::Channel> channel =
      grpc::CreateCustomChannel(url, grpc::InsecureChannelCredentials(), arguments);
  const std::shared_ptr<inference::GRPCInferenceService::Stub> stub =
      inference::GRPCInferenceService::NewStub(channel);
  return [stub, request] {
    grpc::ClientContext context;
    inference::ModelInferResponse response;
    const grpc::Status status = stub->ModelInfer(&context, *request, &response);
    if (!status.ok()) Fail(status.error_message());
  };
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) Fail("usage: client_bench WAY ADDRESS BYTES CALLS [THREADS]");
  const std::string way = argv[1];
  const std::string url = argv[2];
  const Work work(std::stoul(argv[3]));
  const long calls = std::atol(argv[4]);
  const long threads = argc > 5 ? std::atol(argv[5]) : 1;
  Call call;
  if (way == "http") {
    call = Ours<tc::InferenceServerHttpClient>(url, work);
  } else if (way == "grpc") {
    call = Ours<tc::InferenceServerGrpcClient>(url, work);
  } else if (way == "curl") {
    call = Curl(url, work);
  } else if (way == "stub") {
    call = Stub(url, work);
  } else {
    Fail("WAY is http, grpc, curl or stub");
  }
  for (long i = 0; i < calls / 10 + 1; ++i) call();
  const double processor = ProcessorUs();
  const auto start = Clock::now();
  std::vector<std::thread> others;
  for (long t = 1; t < threads; ++t) {
    others.emplace_back([&] {
      for (long i = 0; i < calls / threads; ++i) call();
    });
  }
  for (long i = 0; i < calls / threads; ++i) call();
  for (auto& thread : others) thread.join();
  const std::chrono::duration<double, std::micro> wall = Clock::now() - start;
  const auto count = static_cast<double>(calls / threads * threads);
  std::cout << wall.count() / count << " " << (ProcessorUs() - processor) / count << " "
            << PeakKib() << std::endl;
  return 0;
}
