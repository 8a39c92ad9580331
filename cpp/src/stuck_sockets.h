// Connections that take nothing any more.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace triton::client::internal {

/// A socket, and the bytes that wait in it to be sent and acknowledged.
using WaitingBytes = std::vector<std::pair<int, int>>;

/// Return the sockets of this process that are connected to a peer and have bytes to send.
/// @param peer as grpc::ClientContext::peer() writes it: "ipv4:127.0.0.1:8001", or a target.
WaitingBytes SocketsThatWait(const std::string& peer);

/// Shut down the sockets in which nothing moved since `before`. Whoever has them sees an error and
/// closes them.
void ShutDownStuck(const std::string& peer, const WaitingBytes& before);

}  // namespace triton::client::internal
