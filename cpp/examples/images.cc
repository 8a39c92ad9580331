// stb reads and resizes images; it is two headers.
#include "images.h"

#include <filesystem>
#include <fstream>
#include <memory>

#include "example.h"

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#endif
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#include <stb/stb_image.h>
#define STB_IMAGE_RESIZE_IMPLEMENTATION
#define STB_IMAGE_RESIZE_STATIC
#define STBIR_DEFAULT_FILTER_DOWNSAMPLE STBIR_FILTER_TRIANGLE
#define STBIR_DEFAULT_FILTER_UPSAMPLE STBIR_FILTER_TRIANGLE
#include <stb/stb_image_resize.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

namespace example {
namespace {

// The mean colour that VGG networks were trained around, and mid grey.
constexpr float kVggMean[] = {123.0F, 117.0F, 104.0F};
constexpr float kVggGrey = 128.0F;

float Scaled(float value, int channel, int channels, Scaling scaling) {
  switch (scaling) {
    case Scaling::INCEPTION:
      return value / 127.5F - 1.0F;
    case Scaling::VGG:
      return value - (channels == 1 ? kVggGrey : kVggMean[channel]);
    case Scaling::NONE:
      break;
  }
  return value;
}

template <typename T>
void Append(std::vector<uint8_t>* out, float value) {
  const T element = static_cast<T>(value);
  const auto* bytes = reinterpret_cast<const uint8_t*>(&element);
  out->insert(out->end(), bytes, bytes + sizeof(T));
}

using AppendElement = void (*)(std::vector<uint8_t>*, float);

AppendElement AppenderOf(const std::string& datatype) {
  if (datatype == "FP32") return Append<float>;
  if (datatype == "FP64") return Append<double>;
  if (datatype == "UINT8") return Append<uint8_t>;
  if (datatype == "INT8") return Append<int8_t>;
  if (datatype == "UINT16") return Append<uint16_t>;
  if (datatype == "INT16") return Append<int16_t>;
  if (datatype == "INT32") return Append<int32_t>;
  Fail("the model's input is " + datatype + ", which this program can't make from an image");
}

}  // namespace

std::vector<std::string> FindImages(const std::string& path) {
  std::error_code failure;
  if (!std::filesystem::is_directory(path, failure)) {
    if (!std::filesystem::exists(path, failure)) Fail("there is no file or folder '" + path + "'");
    return {path};
  }
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(path, failure)) {
    if (entry.is_regular_file(failure)) files.push_back(entry.path().string());
  }
  if (files.empty()) Fail("there are no files in the folder '" + path + "'");
  std::sort(files.begin(), files.end());
  return files;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) Fail("unable to open '" + path + "'");
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<uint8_t> ReadImage(const std::string& path, const PixelFormat& format,
                               Scaling scaling) {
  const AppendElement append = AppenderOf(format.datatype);
  int width = 0;
  int height = 0;
  int found = 0;
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load(path.c_str(), &width, &height, &found, format.channels), stbi_image_free);
  if (pixels == nullptr) {
    Fail("unable to read the image '" + path + "': " + stbi_failure_reason());
  }
  const auto row = static_cast<size_t>(format.width) * static_cast<size_t>(format.channels);
  std::vector<uint8_t> resized(row * static_cast<size_t>(format.height));
  if (stbir_resize_uint8(pixels.get(), width, height, 0, resized.data(), format.width,
                         format.height, 0, format.channels) == 0) {
    Fail("unable to resize the image '" + path + "'");
  }
  std::vector<uint8_t> tensor;
  const auto channels = static_cast<size_t>(format.channels);
  const size_t area = resized.size() / channels;
  const auto take = [&](size_t pixel, size_t channel) {
    append(&tensor, Scaled(resized[pixel * channels + channel], static_cast<int>(channel),
                           format.channels, scaling));
  };
  if (format.channels_first) {
    for (size_t channel = 0; channel < channels; ++channel) {
      for (size_t pixel = 0; pixel < area; ++pixel) take(pixel, channel);
    }
  } else {
    for (size_t pixel = 0; pixel < area; ++pixel) {
      for (size_t channel = 0; channel < channels; ++channel) take(pixel, channel);
    }
  }
  return tensor;
}

void ShowClass(const std::string& text) {
  const size_t first = text.find(':');
  const size_t second = first == std::string::npos ? first : text.find(':', first + 1);
  if (first == std::string::npos) Fail("the model's answer is no class: '" + text + "'");
  std::cout << "    " << text.substr(0, first) << " ("
            << text.substr(first + 1, second == std::string::npos ? second : second - first - 1)
            << ")";
  if (second != std::string::npos) std::cout << " = " << text.substr(second + 1);
  std::cout << std::endl;
}

}  // namespace example
