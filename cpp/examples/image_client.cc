// Classifies images.
#include <fstream>

#include "example.h"
#include "images.h"
#include "model_info.h"

namespace {

struct Arguments {
  std::string model;
  std::string version;
  std::string preprocessed;  // a file for the bytes of the first image
  int64_t batch_size = 1;
  size_t classes = 1;
  bool asynchronous = false;
  bool streaming = false;
  example::Scaling scaling = example::Scaling::NONE;
};

// What the model's metadata say about its input and output, or why it classifies no images.
example::PixelFormat PixelsOf(const example::ModelInfo& model, const Arguments& arguments) {
  if (model.inputs.size() != 1) example::Fail("the model has not one input");
  if (model.outputs.size() != 1) example::Fail("the model has not one output");
  const auto& input = model.inputs[0];
  if (model.outputs[0].datatype != "FP32") {
    example::Fail("expecting the model's output to be FP32, not " + model.outputs[0].datatype);
  }
  if (model.max_batch_size == 0 && arguments.batch_size != 1) {
    example::Fail("batching is not supported for model '" + arguments.model + "'");
  }
  if (model.max_batch_size != 0 && arguments.batch_size > model.max_batch_size) {
    example::Fail("expecting batch size <= " + std::to_string(model.max_batch_size) +
                  " for model '" + arguments.model + "'");
  }
  const size_t first = model.max_batch_size == 0 ? 0 : 1;
  if (input.shape.size() != first + 3) {
    example::Fail("expecting the model's input to have 3 dimensions");
  }
  example::PixelFormat pixels;
  pixels.datatype = input.datatype;
  pixels.channels_first = model.format == "FORMAT_NCHW";
  if (!pixels.channels_first && model.format != "FORMAT_NHWC") {
    example::Fail("expecting the format of the model's input to be NCHW or NHWC");
  }
  const auto dim = [&](size_t i) { return static_cast<int>(input.shape[first + i]); };
  pixels.channels = dim(pixels.channels_first ? 0 : 2);
  pixels.height = dim(pixels.channels_first ? 1 : 0);
  pixels.width = dim(pixels.channels_first ? 2 : 1);
  if (pixels.channels != 1 && pixels.channels != 3) {
    example::Fail("expecting images of 1 or 3 channels");
  }
  if (pixels.height < 1 || pixels.width < 1) example::Fail("the model names no size of images");
  return pixels;
}

void Show(const tc::InferResult& result, const std::string& output, size_t request,
          const std::vector<std::string>& files, size_t classes) {
  std::vector<std::string> lines;
  example::Check(result.StringData(output, &lines), "unable to get output '" + output + "'");
  if (lines.size() % files.size() != 0 || lines.size() > files.size() * classes) {
    example::Fail("received " + std::to_string(lines.size()) + " classes of " +
                  std::to_string(files.size()) + " images");
  }
  std::cout << "Request " << request << ", batch size " << files.size() << std::endl;
  const size_t each = lines.size() / files.size();
  for (size_t i = 0; i < files.size(); ++i) {
    std::cout << "Image '" << files[i] << "':" << std::endl;
    for (size_t k = 0; k < each; ++k) example::ShowClass(lines[i * each + k]);
  }
}

bool Stream(tc::InferenceServerHttpClient*, const tc::InferenceServerClient::OnCompleteFn&,
            const tc::Headers&) {
  example::Fail("streaming is only allowed with gRPC protocol");
}
bool Stream(tc::InferenceServerGrpcClient* client,
            const tc::InferenceServerClient::OnCompleteFn& callback, const tc::Headers& headers) {
  example::Check(client->StartStream(callback, true, 0, headers), "unable to start a stream");
  return true;
}
void Send(tc::InferenceServerHttpClient*, const tc::InferOptions&, tc::InferInput*,
          const tc::InferRequestedOutput*) {}
void Send(tc::InferenceServerGrpcClient* client, const tc::InferOptions& options,
          tc::InferInput* input, const tc::InferRequestedOutput* output) {
  example::Check(client->AsyncStreamInfer(options, {input}, {output}), "unable to run model");
}

template <typename Client>
void Classify(const example::Flags& flags, const Arguments& arguments,
              const std::vector<std::string>& files) {
  // What the callbacks use is declared before the client, and so outlives it.
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, std::unique_ptr<tc::InferResult>> results;  // by id
  size_t failed = 0;
  std::vector<std::vector<std::vector<uint8_t>>> tensors;
  std::unique_ptr<Client> client;
  example::Check(Client::Create(&client, flags.url, flags.verbose), "unable to create client");
  const auto model =
      example::AskAbout(client.get(), arguments.model, arguments.version, flags.headers);
  const auto pixels = PixelsOf(model, arguments);
  const std::string& output_name = model.outputs[0].name;

  const auto keep = [&](tc::InferResult* result) {
    const std::lock_guard<std::mutex> lock(mutex);
    std::string id;
    if (!result->RequestStatus().IsOk() || !result->Id(&id).IsOk()) id = "failed";
    if (id == "failed") ++failed;
    results[id].reset(result);
    changed.notify_all();
  };
  const bool streams = arguments.streaming && Stream(client.get(), keep, flags.headers);

  const auto batch = static_cast<size_t>(arguments.batch_size);
  const size_t requests = (files.size() + batch - 1) / batch;
  std::vector<std::vector<std::string>> batches(requests);
  tensors.resize(requests);
  std::vector<std::unique_ptr<tc::InferInput>> inputs;
  const auto output = example::Output(output_name, arguments.classes);
  for (size_t request = 0; request < requests; ++request) {
    std::vector<int64_t> shape = model.inputs[0].shape;
    if (model.max_batch_size != 0) shape[0] = arguments.batch_size;
    inputs.push_back(example::Input(model.inputs[0].name, shape, pixels.datatype));
    for (size_t i = 0; i < batch; ++i) {
      // The last batch is filled with the first images.
      const std::string& file = files[(request * batch + i) % files.size()];
      batches[request].push_back(file);
      tensors[request].push_back(example::ReadImage(file, pixels, arguments.scaling));
    }
    for (const auto& tensor : tensors[request]) {
      example::Check(inputs.back()->AppendRaw(tensor), "unable to set data for the input");
    }
    if (request == 0 && !arguments.preprocessed.empty()) {
      std::ofstream file(arguments.preprocessed, std::ios::binary);
      const auto& bytes = tensors[0][0];
      file.write(reinterpret_cast<const char*>(bytes.data()),
                 static_cast<std::streamsize>(bytes.size()));
      if (!file) example::Fail("unable to write '" + arguments.preprocessed + "'");
    }
    tc::InferOptions options(arguments.model);
    options.model_version_ = arguments.version;
    options.request_id_ = std::to_string(request);
    if (streams) {
      Send(client.get(), options, inputs.back().get(), output.get());
    } else if (arguments.asynchronous) {
      example::Check(
          client->AsyncInfer(keep, options, {inputs.back().get()}, {output.get()}, flags.headers),
          "unable to run model");
    } else {
      tc::InferResult* result = nullptr;
      example::Check(
          client->Infer(&result, options, {inputs.back().get()}, {output.get()}, flags.headers),
          "unable to run model");
      keep(result);
    }
  }
  {
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [&] { return failed > 0 || results.size() == requests; });
    if (failed > 0) example::Check(results["failed"]->RequestStatus(), "inference failed");
  }
  for (size_t request = 0; request < requests; ++request) {
    const auto& result = results[std::to_string(request)];
    if (result == nullptr) example::Fail("request " + std::to_string(request) + " got no answer");
    Show(*result, output_name, request, batches[request], arguments.classes);
  }
}

}  // namespace

int main(int argc, char** argv) {
  example::Flags flags("");
  Arguments arguments;
  std::string protocol = "HTTP";
  std::string scaling = "NONE";
  flags.Switch("a", &arguments.asynchronous, "send requests without waiting for each");
  flags.Switch("streaming", &arguments.streaming, "send them on a stream; with -a and gRPC only");
  flags.Number("b", &arguments.batch_size, "images in a request");
  flags.Number("c", &arguments.classes, "classes to show for each image");
  flags.Text("s", &scaling, "scaling of the pixels: NONE, INCEPTION or VGG");
  flags.Text("m", &arguments.model, "name of the model");
  flags.Text("x", &arguments.version, "version of the model; the server chooses by default");
  flags.Text("p", &arguments.preprocessed, "file to write the first image's tensor to");
  flags.Text("i", &protocol, "protocol: HTTP or gRPC");
  flags.Rest("<image file or folder>");
  const auto rest = flags.Parse(argc, argv);

  if (rest.size() != 1) flags.Usage("an image file or a folder must be given");
  if (arguments.model.empty()) flags.Usage("-m must name the model");
  if (arguments.batch_size < 1) flags.Usage("batch size must be > 0");
  if (arguments.classes < 1) flags.Usage("number of classes must be > 0");
  std::transform(scaling.begin(), scaling.end(), scaling.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (scaling == "INCEPTION") {
    arguments.scaling = example::Scaling::INCEPTION;
  } else if (scaling == "VGG") {
    arguments.scaling = example::Scaling::VGG;
  } else if (scaling != "NONE") {
    flags.Usage("-s takes NONE, INCEPTION or VGG");
  }
  const bool grpc = example::IsGrpc(&flags, protocol);
  if (arguments.streaming && !grpc) flags.Usage("streaming is only allowed with gRPC protocol");
  if (arguments.streaming && !arguments.asynchronous) {
    flags.Usage("only async operation is supported in streaming: give -a");
  }
  const auto files = example::FindImages(rest.front());
  if (grpc) {
    Classify<tc::InferenceServerGrpcClient>(flags, arguments, files);
  } else {
    Classify<tc::InferenceServerHttpClient>(flags, arguments, files);
  }
  return 0;
}
