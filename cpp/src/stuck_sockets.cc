// gRPC does not close a connection while it waits for the kernel to take what it wrote, and offers
// no way to its socket. So the socket is looked for by its peer.
#include "stuck_sockets.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>

#ifdef __linux__
#include <linux/sockios.h>
#endif

namespace triton::client::internal {
namespace {

std::string Decoded(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      out += static_cast<char>(std::strtol(text.substr(i + 1, 2).c_str(), nullptr, 16));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

// The peer of a socket, in gRPC's notation; empty when it has none over IP.
std::string PeerOf(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.ss_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, &address, sizeof(v4));
    inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    return std::string("ipv4:") + text.data() + ":" + std::to_string(ntohs(v4.sin_port));
  }
  if (address.ss_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, &address, sizeof(v6));
    const std::string port = ":" + std::to_string(ntohs(v6.sin6_port));
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
      inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text.data(), text.size());
      return std::string("ipv4:") + text.data() + port;
    }
    inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
    return std::string("ipv6:[") + text.data() + "]" + port;
  }
  return {};
}

// Whether a socket's peer is the one that gRPC named. Before a server has answered, gRPC names only
// the target of the channel, whose host may be a name; then the port has to do.
bool IsPeer(const std::string& peer, const std::string& wanted) {
  if (wanted.rfind("ipv4:", 0) == 0 || wanted.rfind("ipv6:", 0) == 0) return peer == wanted;
  const size_t colon = wanted.rfind(':');
  if (peer.empty() || colon == std::string::npos) return false;
  return peer.substr(peer.rfind(':')) == wanted.substr(colon);
}

int BytesToSend(int fd) {
  int bytes = 0;
#ifdef SIOCOUTQ
  if (ioctl(fd, SIOCOUTQ, &bytes) != 0) return 0;
#else
  (void)fd;
#endif
  return bytes;
}

}  // namespace

WaitingBytes SocketsThatWait(const std::string& peer) {
  WaitingBytes waiting;
  const std::string wanted = Decoded(peer);
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir("/proc/self/fd"), closedir);
  if (folder == nullptr || wanted.empty()) return waiting;
  while (const dirent* entry = readdir(folder.get())) {
    char* end = nullptr;
    const long fd = std::strtol(entry->d_name, &end, 10);
    if (*end != '\0' || end == entry->d_name) continue;
    const int socket = static_cast<int>(fd);
    if (!IsPeer(PeerOf(socket), wanted)) continue;
    const int bytes = BytesToSend(socket);
    if (bytes > 0) waiting.emplace_back(socket, bytes);
  }
  return waiting;
}

void ShutDownStuck(const std::string& peer, const WaitingBytes& before) {
  for (const auto& now : SocketsThatWait(peer)) {
    for (const auto& then : before) {
      if (now == then) shutdown(now.first, SHUT_RDWR);
    }
  }
}

}  // namespace triton::client::internal
