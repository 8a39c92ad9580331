// Responses over HTTP, as a server writes them.
#pragma once

#include <string>

#include "stub.h"

namespace http_stub {

inline std::string Answer(const std::string& status, const std::string& headers,
                          const std::string& body) {
  return "HTTP/1.1 " + status + "\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

inline std::string Identity(const std::string& bytes, const std::string& id = "") {
  const std::string head = R"({"model_name":"m","model_version":"1","id":")" + id +
                           R"(","outputs":[{"name":"B","datatype":"UINT8","shape":[)" +
                           std::to_string(bytes.size()) + R"(],"parameters":{"binary_data_size":)" +
                           std::to_string(bytes.size()) + "}}]}";
  return Answer("200 OK",
                "Inference-Header-Content-Length: " + std::to_string(head.size()) + "\r\n",
                head + bytes);
}

// Answers every request in the same way.
inline stub::Server Always(const std::string& answer, int port = 0) {
  return stub::Server(
      [answer](const stub::Peer& peer) {
        while (!peer.ReceiveRequest().empty() && peer.Send(answer)) {
        }
      },
      port);
}

}  // namespace http_stub
