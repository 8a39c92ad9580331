// Recorded exchanges with a real Triton: tests/data/recordings of the repository, which the Python
// client's tests read too.
#pragma once

#include <gtest/gtest.h>
#include <rapidjson/document.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace recordings {

struct Exchange {
  std::string name;
  std::string request;   // with its head
  std::string response;  // with its head
};

struct Call {
  std::string name;
  std::string method;
  std::vector<std::string> requests;
  std::vector<std::string> responses;
};

inline rapidjson::Document ReadJson(const std::string& name) {
  std::ifstream file(std::string(RECORDINGS) + "/" + name + ".json");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  rapidjson::Document document;
  document.Parse(text.c_str());
  EXPECT_TRUE(document.IsArray()) << name;
  return document;
}

inline std::string FromHex(const std::string& hex) {
  std::string bytes;
  std::string digits;
  for (const char c : hex) {
    if (c == ' ') continue;
    digits += c;
    if (digits.size() < 2) continue;
    bytes += static_cast<char>(std::stoi(digits, nullptr, 16));
    digits.clear();
  }
  return bytes;
}

inline std::string Joined(const rapidjson::Value& parts) {
  std::string message;
  for (const auto& part : parts.GetArray()) {
    message += part.IsString() ? std::string(part.GetString(), part.GetStringLength())
                               : FromHex(part["hex"].GetString());
  }
  return message;
}

inline std::vector<Exchange> Http(const std::string& subject) {
  std::vector<Exchange> exchanges;
  const auto document = ReadJson(subject);
  for (const auto& each : document.GetArray()) {
    exchanges.push_back(
        {each["name"].GetString(), Joined(each["request"]), Joined(each["response"])});
  }
  return exchanges;
}

// Each character of the recorded text is a byte.
inline std::string FromLatin1(const rapidjson::Value& text) {
  std::string bytes;
  const auto* at = reinterpret_cast<const unsigned char*>(text.GetString());
  const auto* end = at + text.GetStringLength();
  while (at < end) {
    if (*at < 0x80) {
      bytes += static_cast<char>(*at++);
    } else {
      bytes += static_cast<char>((at[0] & 3) << 6 | (at[1] & 63));
      at += 2;
    }
  }
  return bytes;
}

inline std::vector<Call> Rpc(const std::string& subject) {
  std::vector<Call> calls;
  const auto document = ReadJson("rpc/" + subject);
  for (const auto& each : document.GetArray()) {
    Call call{each["name"].GetString(), each["method"].GetString(), {}, {}};
    for (const auto& message : each["requests"].GetArray()) {
      call.requests.push_back(FromLatin1(message));
    }
    for (const auto& message : each["responses"].GetArray()) {
      call.responses.push_back(FromLatin1(message));
    }
    calls.push_back(std::move(call));
  }
  return calls;
}

inline std::string Body(const std::string& message) {
  return message.substr(message.find("\r\n\r\n") + 4);
}

inline int Status(const std::string& response) { return std::stoi(response.substr(9, 3)); }

// The length of the JSON, or 0.
inline size_t HeadLength(const std::string& message) {
  const std::string name = "Inference-Header-Content-Length: ";
  const size_t at = message.find(name);
  return at == std::string::npos || at > message.find("\r\n\r\n")
             ? 0
             : std::stoul(message.substr(at + name.size()));
}

inline bool Has(const std::string& message, const std::string& header) {
  return message.substr(0, message.find("\r\n\r\n")).find(header) != std::string::npos;
}

}  // namespace recordings
