// Image files into tensors.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace example {

enum class Scaling { NONE, INCEPTION, VGG };

/// The form in which a model wants one image.
struct PixelFormat {
  int height = 0;
  int width = 0;
  int channels = 0;             // 1: grey; 3: red, green, blue
  bool channels_first = false;  // NCHW rather than NHWC
  std::string datatype;
};

/// Return the file itself, or the files of a folder, sorted by name.
std::vector<std::string> FindImages(const std::string& path);

/// Return the content of a file.
std::string ReadFile(const std::string& path);

/// Read an image, resize it, scale its values and bring them into a model's form. Ends the program
/// when that is not possible.
std::vector<uint8_t> ReadImage(const std::string& path, const PixelFormat& format, Scaling scaling);

/// Print a class that came as "score:index" or "score:index:label".
void ShowClass(const std::string& text);

}  // namespace example
