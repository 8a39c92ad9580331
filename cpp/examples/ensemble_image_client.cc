// Sends image files as they are to an ensemble that decodes and classifies them.
#include "example.h"
#include "images.h"
#include "model_info.h"

namespace {

template <typename Client>
void Classify(const example::Flags& flags, const std::string& name, size_t classes,
              std::vector<std::string> files) {
  std::unique_ptr<Client> client;
  example::Check(Client::Create(&client, flags.url, flags.verbose), "unable to create client");
  const auto model = example::AskAbout(client.get(), name, "", flags.headers);
  const auto most = static_cast<size_t>(std::max<int64_t>(model.max_batch_size, 1));
  if (files.size() > most) {
    std::cerr << "The number of images exceeds maximum batch size, only the first " << most
              << " images, sorted by name alphabetically, will be processed" << std::endl;
    files.resize(most);
  }
  const auto input = example::Input("INPUT", {static_cast<int64_t>(files.size()), 1}, "BYTES");
  for (const auto& file : files) {
    example::Check(input->AppendFromString({example::ReadFile(file)}),
                   "unable to set data for the input");
  }
  const auto output = example::Output("OUTPUT", classes);
  tc::InferResult* result = nullptr;
  example::Check(
      client->Infer(&result, tc::InferOptions(name), {input.get()}, {output.get()}, flags.headers),
      "unable to run model");
  const std::unique_ptr<tc::InferResult> owner(result);
  std::vector<std::string> lines;
  example::Check(result->StringData("OUTPUT", &lines), "unable to get 'OUTPUT'");
  if (lines.size() % files.size() != 0) example::Fail("unexpected number of classes");
  const size_t each = lines.size() / files.size();
  for (size_t i = 0; i < files.size(); ++i) {
    std::cout << "Image '" << files[i] << "':" << std::endl;
    for (size_t k = 0; k < each; ++k) example::ShowClass(lines[i * each + k]);
  }
}

}  // namespace

int main(int argc, char** argv) {
  example::Flags flags("");
  std::string protocol = "HTTP";
  std::string model = "preprocess_inception_ensemble";
  size_t classes = 1;
  flags.Number("c", &classes, "classes to show for each image");
  flags.Text("m", &model, "name of the ensemble");
  flags.Text("i", &protocol, "protocol: HTTP or gRPC");
  flags.Rest("<image file or folder>");
  const auto rest = flags.Parse(argc, argv);
  if (rest.size() != 1) flags.Usage("an image file or a folder must be given");
  if (classes < 1) flags.Usage("number of classes must be > 0");
  const bool grpc = example::IsGrpc(&flags, protocol);
  const auto files = example::FindImages(rest.front());
  if (grpc) {
    Classify<tc::InferenceServerGrpcClient>(flags, model, classes, files);
  } else {
    Classify<tc::InferenceServerHttpClient>(flags, model, classes, files);
  }
  return 0;
}
