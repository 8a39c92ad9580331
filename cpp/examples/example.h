// What the example programs share: flags, failing, and the tensors of the model "simple".
#pragma once

#include <getopt.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common.h"

namespace tc = triton::client;

namespace example {

/// End the program when a call failed.
inline void Check(const tc::Error& err, const std::string& what) {
  if (err.IsOk()) return;
  std::cerr << "error: " << what << ": " << err << std::endl;
  std::exit(1);
}

/// End the program with a message.
[[noreturn]] inline void Fail(const std::string& message) {
  std::cerr << "error: " << message << std::endl;
  std::exit(1);
}

/// The flags of a program. Those that all have are -v, -u and -H.
class Flags {
 public:
  bool verbose = false;
  std::string url;
  std::map<std::string, std::string> headers;

  explicit Flags(const std::string& default_url) : url(default_url) {
    Switch("v", &verbose, "print what is sent and received");
    Text("u", &url, "address of the server");
    Add("H", true, "header to send, as 'Name:Value'; may be given several times",
        [this](const std::string& value) {
          const size_t colon = value.find(':');
          if (colon == std::string::npos) Usage("-H takes 'Name:Value', not '" + value + "'");
          const size_t start = value.find_first_not_of(' ', colon + 1);
          headers[value.substr(0, colon)] = start == std::string::npos ? "" : value.substr(start);
        });
  }

  /// Add a flag: one letter for a short name, more for a long one.
  void Add(const std::string& name, bool argument, const std::string& help,
           std::function<void(const std::string&)> take) {
    flags_.push_back({name, argument, help, std::move(take)});
  }
  void Switch(const std::string& name, bool* on, const std::string& help) {
    Add(name, false, help, [on](const std::string&) { *on = true; });
  }
  void Text(const std::string& name, std::string* value, const std::string& help) {
    Add(name, true, help, [value](const std::string& given) { *value = given; });
  }
  template <typename T>
  void Number(const std::string& name, T* value, const std::string& help) {
    Add(name, true, help, [this, name, value](const std::string& given) {
      char* end = nullptr;
      const long long number = std::strtoll(given.c_str(), &end, 10);
      if (given.empty() || *end != '\0') Usage(name + " takes a number, not '" + given + "'");
      *value = static_cast<T>(number);
    });
  }
  /// What the arguments after the flags are.
  void Rest(const std::string& name) { rest_ = name; }

  /// Read the command line; return the arguments after the flags.
  std::vector<std::string> Parse(int argc, char** argv) {
    program_ = argv[0];
    std::string shorts;
    std::vector<option> longs;
    for (size_t i = 0; i < flags_.size(); ++i) {
      const auto& flag = flags_[i];
      if (flag.name.size() == 1) {
        shorts += flag.name + (flag.argument ? ":" : "");
      } else {
        longs.push_back({flag.name.c_str(), flag.argument ? required_argument : no_argument,
                         nullptr, kFirstLong + static_cast<int>(i)});
      }
    }
    longs.push_back({nullptr, 0, nullptr, 0});
    int found = 0;
    while ((found = getopt_long(argc, argv, shorts.c_str(), longs.data(), nullptr)) != -1) {
      bool known = false;
      for (size_t i = 0; i < flags_.size(); ++i) {
        const auto& flag = flags_[i];
        const bool is_this = flag.name.size() == 1 ? found == flag.name[0]
                                                   : found == kFirstLong + static_cast<int>(i);
        if (!is_this) continue;
        flag.take(flag.argument ? optarg : "");
        known = true;
      }
      if (!known) Usage();
    }
    std::vector<std::string> rest(argv + optind, argv + argc);
    if (!rest.empty() && rest_.empty()) Usage("unexpected argument '" + rest.front() + "'");
    return rest;
  }

  [[noreturn]] void Usage(const std::string& message = "") const {
    if (!message.empty()) std::cerr << "error: " << message << std::endl;
    std::cerr << "Usage: " << program_ << " [options] " << rest_ << std::endl;
    for (const auto& flag : flags_) {
      std::cerr << "\t" << (flag.name.size() == 1 ? "-" : "--") << flag.name
                << (flag.argument ? " VALUE" : "") << ": " << flag.help << std::endl;
    }
    std::exit(1);
  }

 private:
  static constexpr int kFirstLong = 1000;
  struct Flag {
    std::string name;
    bool argument;
    std::string help;
    std::function<void(const std::string&)> take;
  };
  std::vector<Flag> flags_;
  std::string program_;
  std::string rest_;
};

/// An input that this program deletes.
inline std::unique_ptr<tc::InferInput> Input(const std::string& name,
                                             const std::vector<int64_t>& shape,
                                             const std::string& datatype) {
  tc::InferInput* input = nullptr;
  Check(tc::InferInput::Create(&input, name, shape, datatype), "unable to create '" + name + "'");
  return std::unique_ptr<tc::InferInput>(input);
}

/// An output that this program deletes.
inline std::unique_ptr<tc::InferRequestedOutput> Output(const std::string& name,
                                                        size_t class_count = 0) {
  tc::InferRequestedOutput* output = nullptr;
  Check(tc::InferRequestedOutput::Create(&output, name, class_count),
        "unable to create '" + name + "'");
  return std::unique_ptr<tc::InferRequestedOutput>(output);
}

/// An input that refers to a vector's memory.
template <typename T>
std::unique_ptr<tc::InferInput> Input(const std::string& name, const std::vector<int64_t>& shape,
                                      const std::string& datatype, const std::vector<T>& data) {
  auto input = Input(name, shape, datatype);
  Check(input->AppendRaw(reinterpret_cast<const uint8_t*>(data.data()), data.size() * sizeof(T)),
        "unable to set data for '" + name + "'");
  return input;
}

/// The inputs of the model "simple": 0 to 15, and ones.
struct SimpleInputs {
  std::vector<int32_t> input0 = std::vector<int32_t>(16);
  std::vector<int32_t> input1 = std::vector<int32_t>(16, 1);
  SimpleInputs() {
    for (size_t i = 0; i < input0.size(); ++i) input0[i] = static_cast<int32_t>(i);
  }
};

/// Check shape and datatype of one of the outputs of "simple".
inline const int32_t* SimpleOutput(const tc::InferResult& result, const std::string& name) {
  std::vector<int64_t> shape;
  Check(result.Shape(name, &shape), "unable to get shape for '" + name + "'");
  if (shape != std::vector<int64_t>{1, 16}) Fail("received incorrect shapes for '" + name + "'");
  std::string datatype;
  Check(result.Datatype(name, &datatype), "unable to get datatype for '" + name + "'");
  if (datatype != "INT32") Fail("received incorrect datatype for '" + name + "': " + datatype);
  const uint8_t* data = nullptr;
  size_t size = 0;
  Check(result.RawData(name, &data, &size), "unable to get result data for '" + name + "'");
  if (size != 64) Fail("received incorrect byte size for '" + name + "': " + std::to_string(size));
  return reinterpret_cast<const int32_t*>(data);
}

/// Print the sums and differences, and end the program when one is wrong.
inline void CheckSums(const int32_t* input0, const int32_t* input1, const int32_t* sums,
                      const int32_t* differences) {
  for (size_t i = 0; i < 16; ++i) {
    std::cout << input0[i] << " + " << input1[i] << " = " << sums[i] << std::endl;
    std::cout << input0[i] << " - " << input1[i] << " = " << differences[i] << std::endl;
    if (input0[i] + input1[i] != sums[i]) Fail("incorrect sum");
    if (input0[i] - input1[i] != differences[i]) Fail("incorrect difference");
  }
}

/// Check both outputs of "simple".
inline void CheckSimple(const tc::InferResult& result, const SimpleInputs& inputs) {
  CheckSums(inputs.input0.data(), inputs.input1.data(), SimpleOutput(result, "OUTPUT0"),
            SimpleOutput(result, "OUTPUT1"));
}

/// Print what the client counted.
inline void ShowStatistics(const tc::InferenceServerClient& client) {
  tc::InferStat stat;
  Check(client.ClientInferStat(&stat), "unable to get client statistics");
  std::cout << "======Client Statistics======" << std::endl;
  std::cout << "completed_request_count " << stat.completed_request_count << std::endl;
  std::cout << "cumulative_total_request_time_ns " << stat.cumulative_total_request_time_ns
            << std::endl;
  std::cout << "cumulative_send_time_ns " << stat.cumulative_send_time_ns << std::endl;
  std::cout << "cumulative_receive_time_ns " << stat.cumulative_receive_time_ns << std::endl;
}

}  // namespace example
